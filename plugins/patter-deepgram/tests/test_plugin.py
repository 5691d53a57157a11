from __future__ import annotations

import subprocess
import sys

import patter_deepgram
from patter_core.registry import Registry
from patter_deepgram import DeepgramSTT, DeepgramTTS, plugin
from patter_deepgram.testing import DeepgramSTTEmulator, DeepgramTTSEmulator


def test_it_offers_the_parts() -> None:
    assert plugin.patter_parts() == [DeepgramSTT, DeepgramTTS]
    assert DeepgramSTT.name == DeepgramTTS.name == "deepgram"


def test_the_parts_name_their_emulators() -> None:
    assert DeepgramSTT.emulator == f"patter_deepgram.testing:{DeepgramSTTEmulator.__name__}"
    assert DeepgramTTS.emulator == f"patter_deepgram.testing:{DeepgramTTSEmulator.__name__}"


def test_the_registry_joins_it() -> None:
    registry = Registry.discover()
    assert registry.part("stt", "deepgram") is DeepgramSTT
    assert registry.part("tts", "deepgram") is DeepgramTTS


def test_the_public_names_are_there_and_no_others() -> None:
    for name in patter_deepgram.__all__:
        assert getattr(patter_deepgram, name)
    assert not hasattr(patter_deepgram, "something_else")


def test_importing_it_loads_no_socket_and_no_numpy() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import patter_deepgram.stt, patter_deepgram.tts; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "httpx", "numpy", "deepgram", "soxr", "starlette", "uvicorn", "websockets"} & set(loaded)
