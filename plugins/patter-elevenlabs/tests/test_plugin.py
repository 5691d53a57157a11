from __future__ import annotations

import subprocess
import sys

import patter_elevenlabs
from patter_elevenlabs import ElevenLabsConvAI, ElevenLabsSTT, ElevenLabsTTS, plugin
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator


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
    code = "import sys, patter_elevenlabs.plugin as p, patter_elevenlabs.adapter; p.patter_parts(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"httpx", "numpy", "soxr", "starlette", "uvicorn"} & set(loaded)


def test_it_offers_the_parts() -> None:
    assert plugin.patter_parts() == [ElevenLabsSTT, ElevenLabsTTS]
    assert ElevenLabsSTT.emulator == f"patter_elevenlabs.testing.stt:{ElevenLabsSTTEmulator.__name__}"
    assert ElevenLabsTTS.emulator == f"patter_elevenlabs.testing.tts:{ElevenLabsTTSEmulator.__name__}"


WITHOUT_PIPELINES = """
import sys

class NoPipelines:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "patter_pipeline":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoPipelines())
from patter_core.registry import Registry
registry = Registry.discover()
print(registry.engine("elevenlabs").__name__)
try:
    from patter_elevenlabs import ElevenLabsTTS
except ImportError as error:
    print("pip install patter-pipeline" in str(error))
"""


def test_the_engine_joins_where_pipelines_are_not_installed() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_PIPELINES], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["ElevenLabsConvAI", "True"], run.stderr


def test_listing_the_parts_loads_no_websocket_client() -> None:
    code = "import sys, patter_elevenlabs.plugin as p; p.patter_parts(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "ssl", "websockets"} & set(loaded)
