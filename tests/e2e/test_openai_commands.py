"""`patter doctor` and `patter serve` with an agent of OpenAI that a file defines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from patter_core.audio import ULAW_8000
from patter_core.engine import EngineCapability
from patter_core.testing.caller import Caller, WaitForSilence
from patter_openai.testing import Behaviour, OpenAIRealtimeEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

PATTER = "from patter_core.cli import main; main()"
FILE = """
[carrier]
name = "twilio"

[engine]
name = "openai-realtime"

[engine.options]
voice = "cedar"
turn_detection = {type = "semantic_vad", eagerness = "low"}

[agent]
system_prompt = "You answer the phone of Blue Door."
first_message = "Blue Door, good evening."
"""


def environment(carrier: TwilioEmulator, service: OpenAIRealtimeEmulator) -> Mapping[str, str]:
    """What the commands find: the emulators, and nothing of this machine."""
    twilio = carrier.carrier()
    rest = {name: value for name, value in os.environ.items() if not name.startswith(("PATTER_", "OPENAI_", "TWILIO_"))}
    return rest | {
        "OPENAI_API_KEY": service.api_key,
        "OPENAI_BASE_URL": service.base_url,
        "TWILIO_ACCOUNT_SID": twilio.account_sid,
        "TWILIO_AUTH_TOKEN": twilio.auth_token,
        "TWILIO_BASE_URL": twilio.base_url,
    }


async def doctor(folder: Path, env: Mapping[str, str]) -> str:
    command = [sys.executable, "-c", PATTER, "doctor"]
    done = await anyio.run_process(command, cwd=folder, env=env, check=False, stderr=subprocess.STDOUT)
    return done.stdout.decode()


async def test_doctor_finds_a_wrong_key_a_model_and_a_permission(tmp_path: Path) -> None:
    (tmp_path / "patter.toml").write_text(FILE)
    with anyio.fail_after(60):
        async with TwilioEmulator() as carrier, OpenAIRealtimeEmulator() as service:
            env = environment(carrier, service)
            assert "OpenAI accepts the key, and the options for the model gpt-realtime-2.1." in await doctor(
                tmp_path, env
            )
            assert "Check OPENAI_API_KEY." in await doctor(tmp_path, {**env, "OPENAI_API_KEY": "sk-wrong"})
            service.behaviour = Behaviour(refuse_upgrade=403)
            assert "the permission for the Realtime API" in await doctor(tmp_path, env)
            service.behaviour = Behaviour(models=("gpt-realtime-2",))
            told = await doctor(tmp_path, env)
            assert "Check the model's name" in told
            assert "The key may use these models: gpt-realtime-2." in told
            assert service.api_key not in told


async def test_serve_answers_as_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "patter.toml").write_text(FILE)
    command = [sys.executable, "-u", "-c", PATTER, "serve", "--port", "0"]
    with anyio.fail_after(60):
        async with TwilioEmulator() as carrier, OpenAIRealtimeEmulator() as service:
            env = environment(carrier, service)
            async with await anyio.open_process(command, cwd=tmp_path, env=env, stderr=subprocess.STDOUT) as process:
                try:
                    assert process.stdout is not None
                    text = ""
                    while (ready := re.search(r"Ready for calls at (\S+)\.", text)) is None:
                        text += (await process.stdout.receive()).decode()
                    caller = Caller([WaitForSilence()], ULAW_8000)
                    recording = await carrier.call(f"{ready[1]}/webhooks/twilio/voice", caller)
                finally:
                    process.terminate()
    (talk,) = service.conversations
    assert [one.text for one in talk.told.all if one.capability is EngineCapability.PROMPT] == [
        "Blue Door, good evening."
    ]
    assert talk.output.voice == "cedar"
    assert talk.config.instructions == "You answer the phone of Blue Door."
    assert recording.played
