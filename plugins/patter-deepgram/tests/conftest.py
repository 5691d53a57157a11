from __future__ import annotations

import importlib
import os
import warnings

import pytest

with warnings.catch_warnings():  # the vendor's library, a test oracle, uses what its WebSocket library deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    for module in ("listen.v1", "listen.v2", "speak.v1"):
        importlib.import_module(f"deepgram.{module}.client")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a setting or an account in the environment that it did not put there."""
    for variable in list(os.environ):
        if variable.startswith(("PATTER_", "DEEPGRAM_")):
            monkeypatch.delenv(variable)
