from __future__ import annotations

import subprocess
import sys

import patter_elevenlabs
from patter_elevenlabs import ElevenLabsConvAI, plugin
from patter_elevenlabs.testing import ElevenLabsEmulator


def test_it_offers_the_engine() -> None:
    assert plugin.patter_engines() == [ElevenLabsConvAI]
    assert ElevenLabsConvAI.name == "elevenlabs"


def test_the_engine_names_its_emulator() -> None:
    assert ElevenLabsConvAI.emulator == f"patter_elevenlabs.testing:{ElevenLabsEmulator.__name__}"


def test_the_public_names_are_there_and_no_others() -> None:
    for name in patter_elevenlabs.__all__:
        assert getattr(patter_elevenlabs, name)
    assert not hasattr(patter_elevenlabs, "something_else")


def test_importing_it_loads_no_http_client_and_no_numpy() -> None:
    code = "import sys, patter_elevenlabs.plugin, patter_elevenlabs.adapter; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"httpx", "numpy", "soxr", "starlette", "uvicorn"} & set(loaded)
