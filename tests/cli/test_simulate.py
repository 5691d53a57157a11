"""`patter simulate`: an emulated carrier calls the engine that is configured, with a WAV file or a line of ours."""

from __future__ import annotations

import wave
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from patter_core import Registry
from patter_core.audio import PCM16_16000
from patter_core.cli.simulate import simulate
from patter_core.errors import ConfigurationError
from patter_core.testing.speech import CALLER_LINES
from patter_elevenlabs.testing import ElevenLabsEmulator

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def run(engine: ElevenLabsEmulator, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """As a user whose engine is at that address; a thread has the event loop that the command starts."""
    monkeypatch.setenv("ELEVENLABS_API_KEY", engine.api_key)
    monkeypatch.setenv("ELEVENLABS_AGENT_ID", engine.agent_id)
    monkeypatch.setenv("ELEVENLABS_BASE_URL", engine.base_url)
    monkeypatch.setenv("PATTER_CARRIER", "twilio")
    monkeypatch.setenv("PATTER_ENGINE", "elevenlabs")
    return await anyio.to_thread.run_sync(lambda: CliRunner().invoke(simulate, arguments, obj=Registry.discover()))


async def test_a_wav_file_is_said_to_the_real_engine_and_the_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with wave.open("hello.wav", "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(CALLER_LINES[-1].audio(PCM16_16000))
    with anyio.fail_after(40):
        async with ElevenLabsEmulator() as engine:
            result = await run(engine, monkeypatch, "hello.wav", "--silence", "0.6", "--out", "heard")
    assert result.exit_code == 0, result.output
    assert "caller: Thank you, goodbye." in await anyio.Path("heard/transcript.txt").read_text()
    with wave.open("heard/call.wav", "rb") as heard:
        assert heard.getnchannels() == 2
        assert heard.getnframes() > 3 * heard.getframerate()
    assert len(engine.conversations) == 1


async def test_what_is_said_is_redacted_if_so_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    await anyio.Path("patter.toml").write_text("[redaction]\ntranscripts = true")
    with anyio.fail_after(40):
        async with ElevenLabsEmulator() as engine:
            result = await run(engine, monkeypatch, "goodbye", "--silence", "0.6", "--out", "heard")
    assert result.exit_code == 0, result.output
    transcript = await anyio.Path("heard/transcript.txt").read_text()
    assert "caller: [redacted]" in transcript
    assert "goodbye" not in transcript + result.output


async def test_a_store_gets_what_is_said_and_one_that_is_away_costs_the_call_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATTER_REDIS_URL", "redis://127.0.0.1:1/0")
    with anyio.fail_after(40):
        async with ElevenLabsEmulator() as engine:
            result = await run(engine, monkeypatch, "goodbye", "--silence", "0.6", "--store", "redis")
    assert result.exit_code == 0, result.output
    assert "The store cannot be reached (StoreUnavailable)" in caplog.text


async def test_what_is_no_file_and_no_line_is_told_with_the_lines_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, "nowhere.wav")
    assert isinstance(result.exception, ConfigurationError)
    assert "booking" in str(result.exception)


async def test_a_call_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with anyio.fail_after(20):
        async with ElevenLabsEmulator() as engine:
            result = await run(engine, monkeypatch, "booking", "--longest", "0.3")
    assert result.exit_code == 1
    assert "The call failed" in result.output
