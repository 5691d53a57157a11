from __future__ import annotations

import subprocess
import sys

import patter_openai
from patter_openai import OpenAILive, OpenAIRealtime, plugin
from patter_openai.testing import OpenAIRealtimeEmulator
from patter_openai.testing.live import OpenAILiveEmulator


def test_it_offers_the_engine() -> None:
    assert plugin.patter_engines() == [OpenAIRealtime, OpenAILive]
    assert OpenAIRealtime.name == "openai-realtime"


def test_the_engine_names_its_emulator() -> None:
    assert OpenAILive.emulator == f"patter_openai.testing.live:{OpenAILiveEmulator.__name__}"
    assert OpenAIRealtime.emulator == f"patter_openai.testing:{OpenAIRealtimeEmulator.__name__}"


def test_the_public_names_are_there_and_no_others() -> None:
    for name in patter_openai.__all__:
        assert getattr(patter_openai, name)
    assert not hasattr(patter_openai, "something_else")


def test_importing_it_loads_no_http_client_and_no_numpy() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; import patter_openai.plugin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"httpx", "numpy", "openai", "soxr", "starlette", "uvicorn"} & set(loaded)
