"""Plugins that bring a part load the contracts, and no more of the pipeline."""

from __future__ import annotations

import subprocess
import sys

import patter_pipeline


def test_the_public_names_are_there_and_no_others() -> None:
    for name in patter_pipeline.__all__:
        assert getattr(patter_pipeline, name)
    assert not hasattr(patter_pipeline, "something_else")


def test_the_contracts_of_parts_load_neither_the_engine_nor_an_event_loop() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; import patter_pipeline.parts; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "patter_pipeline.parts.stt" in loaded
    assert not {"anyio", "asyncio", "numpy", "patter_pipeline.engine", "patter_pipeline.turns"} & set(loaded)
