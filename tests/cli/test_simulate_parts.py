"""`patter simulate` with an agent that is made of parts, as `patter.toml` says."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from patter_core import Registry
from patter_core.cli.simulate import simulate
from patter_core.testing.speech import AGENT_LINES, CALLER_LINES, REPLIES, WELCOME
from patter_deepgram.testing import DeepgramSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_openai.testing.chat import OpenAIChatEmulator

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # the call takes as long as what is said

GOODBYE = CALLER_LINES[-1]
SETTINGS = f"""
[carrier]
name = "twilio"

[agent]
first_message = "{WELCOME.text}"

[agent.parts]
stt = {{ name = "deepgram" }}
llm = {{ name = "openai", options = {{ model = "gpt-6-luna" }} }}
tts = {{ name = "elevenlabs", options = {{ voice = "voice_emulated" }} }}
"""


async def test_the_parts_of_the_configuration_hear_the_caller_and_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "patter.toml").write_text(SETTINGS)
    stt, llm, tts = DeepgramSTTEmulator(lines=CALLER_LINES), OpenAIChatEmulator(), ElevenLabsTTSEmulator()
    llm.replies, tts.lines = REPLIES, AGENT_LINES

    def run() -> Result:
        arguments = ["goodbye", "--silence", "1", "--out", "heard"]
        return CliRunner().invoke(simulate, arguments, obj=Registry.discover())

    with anyio.fail_after(60):
        async with stt, llm, tts:
            accounts = {
                "DEEPGRAM": (stt.api_key, stt.base_url),
                "OPENAI": (llm.api_key, llm.base_url),
                "ELEVENLABS": (tts.api_key, tts.base_url),
            }
            for name, (key, url) in accounts.items():
                monkeypatch.setenv(f"{name}_API_KEY", key)
                monkeypatch.setenv(f"{name}_BASE_URL", url)
            result = await anyio.to_thread.run_sync(run)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "heard" / "transcript.txt").read_text().splitlines() == [
        f"agent:  {WELCOME.text}",
        f"caller: {GOODBYE.text}",
        f"agent:  {REPLIES[GOODBYE].text}",
    ]
