"""`patter simulate`: an emulated carrier calls the engine that is configured, with a WAV file or a line of ours."""

from __future__ import annotations

import re
import stat
import wave
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from patter_core import Registry
from patter_core.audio import PCM16_16000, ULAW_8000
from patter_core.cli.simulate import _prepare, simulate
from patter_core.errors import ConfigurationError
from patter_core.settings.load import load
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_core.testing.stream import CallRecording
from patter_elevenlabs.testing import Behaviour, Conversation, ElevenLabsEmulator

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
    kept = {path.name: stat.S_IMODE((await path.stat()).st_mode) async for path in anyio.Path("heard").iterdir()}
    assert kept == {"call.wav": 0o600, "transcript.txt": 0o600, "metrics.txt": 0o600}


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
    assert re.search(r"The store cannot be reached, and \d+ lines? waits?\. Redis at 127\.0\.0\.1:1/0", caplog.text)


async def test_what_is_no_file_and_no_line_is_told_with_the_lines_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, "nowhere.wav")
    assert isinstance(result.exception, ConfigurationError)
    assert "booking" in str(result.exception)
    assert "Did you mean" not in str(result.exception)
    assert not await anyio.Path("patter-simulation").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("bokking", "^bokking cannot be read.*Did you mean booking\\?$"),
        (" ", "^The words .* are empty"),
    ],
)
async def test_a_misspelt_line_and_no_words_are_told(words: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, "goodbye", words)
    assert isinstance(result.exception, ConfigurationError)
    assert re.search(told, str(result.exception))


async def test_after_the_longest_time_the_caller_hangs_up_and_the_recording_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with anyio.fail_after(40):
        async with ElevenLabsEmulator() as engine:
            result = await run(engine, monkeypatch, "booking", "goodbye", "--longest", "3", "--sink", "console")
    assert result.exit_code == 1
    assert "patter: The time of --longest was over before the caller had said: " in result.output
    assert "goodbye.\n" in result.output
    assert result.output.count("rings, inbound") == 1
    assert "caller hung up" in result.output
    with wave.open("patter-simulation/call.wav", "rb") as heard:
        assert heard.getnframes() > heard.getframerate()


async def test_what_was_heard_before_ctrl_c_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_arguments: object, on_placed: Callable[[CallRecording], None], **_: float) -> None:
        on_placed(CallRecording(format=ULAW_8000, caller=bytearray(8_000), agent=bytearray(8_000)))
        raise KeyboardInterrupt

    monkeypatch.setattr("patter_core.cli.simulate.place_call", interrupted)
    await anyio.Path("patter-simulation").mkdir()
    await anyio.Path("patter-simulation/metrics.txt").touch()
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, "goodbye", "--expect", "Patter")
    assert "Expected" not in result.output
    assert "Interrupted.\npatter-simulation holds call.wav (caller left, agent right) and" in result.output
    assert "failed" not in result.output
    assert result.exit_code == 130
    assert not await anyio.Path("patter-simulation/metrics.txt").exists()  # of an earlier call
    with wave.open("patter-simulation/call.wav", "rb") as heard:
        assert heard.getnframes() == 8_000


async def silent(talk: Conversation) -> None:
    """An agent that waits for the caller, and says one thing."""
    loud = 0
    async for audio in talk.caller_audio():
        loud += len(audio) - audio.count(ULAW_8000.silence)
        if loud > 4_000:
            break
    await anyio.sleep(1)
    await talk.say("Good evening.", GREETING.audio(ULAW_8000))
    await anyio.sleep_forever()


@pytest.mark.parametrize("begins", ["caller", "either"])
async def test_a_caller_may_begin(begins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patter_core.cli.simulate._GREETING_WITHIN", 0.4)
    with anyio.fail_after(60):
        async with ElevenLabsEmulator(Behaviour(agent=silent)) as engine:
            arguments = ("goodbye", "--begins", begins, "--silence", "0.5", "--expect", "good EVENING")
            result = await run(engine, monkeypatch, *arguments)
    assert result.exit_code == 0, result.output


async def test_what_is_expected_and_does_not_happen_is_told_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with anyio.fail_after(60):
        async with ElevenLabsEmulator() as engine:
            result = await run(
                engine, monkeypatch, "goodbye", "--silence", "0.5", "--expect", "Patter", "--expect", "pizza",
                "--expect-tool", "book",
            )  # fmt: skip
    assert result.exit_code == 1
    assert "Expected the agent to say “pizza”." in result.output
    assert "Expected the agent to use book. It used no tool." in result.output
    assert "“Patter”" not in result.output
    assert result.output.index("metrics.txt") < result.output.index("Expected the agent")


async def test_a_folder_that_cannot_be_written_is_told_before_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    await anyio.Path("file").touch()
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, "goodbye", "--out", "file/there")
        assert not engine.conversations
    assert isinstance(result.exception, ConfigurationError)
    assert "file/there cannot be written." in str(result.exception)


async def test_files_without_audio_and_of_other_kinds_are_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with wave.open("empty.wav", "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
    await anyio.Path("song.wav").write_bytes(b"ID3")
    async with ElevenLabsEmulator() as engine:
        empty, song = [await run(engine, monkeypatch, name) for name in ("empty.wav", "song.wav")]
    assert "empty.wav holds no audio." in str(empty.exception)
    assert "song.wav: Not a WAV file that can be read." in str(song.exception)


async def test_a_file_whose_rate_is_none_of_speech_is_told_by_name_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with wave.open("odd.wav", "wb") as file:
        file.setparams((1, 2, 1_000, 0, "NONE", ""))
        file.writeframes(bytes(2_000))
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, "odd.wav")
    assert isinstance(result.exception, ConfigurationError)
    assert "odd.wav: " in str(result.exception)
    assert "ffmpeg -i FILE -ar 16000 -ac 1 new.wav" in str(result.exception)


@pytest.mark.parametrize("option", ["--expect", "--expect-tool"])
@pytest.mark.parametrize("nothing", ["", " "])
async def test_an_empty_expectation_is_refused_before_the_call(
    option: str, nothing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, "goodbye", option, "Patter", option, nothing)
        assert not engine.conversations
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception).startswith(f"{option} is empty. Expected ")


@pytest.mark.parametrize("option", ["--longest", "--silence"])
@pytest.mark.parametrize("wrong", ["-5", "0", "long"])
async def test_times_below_zero_are_refused(option: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ElevenLabsEmulator() as engine:
        result = await run(engine, monkeypatch, option, wrong)
    assert result.exit_code == 2
    assert f"“{wrong}” is no number above 0." in result.output


@pytest.mark.parametrize(
    ("file", "options", "expected"),
    [
        ('[carrier]\nname = "vonage"', {}, "vonage"),
        ('[carrier]\nname = "vonage"', {"PATTER_CARRIER": "plivo"}, "plivo"),
        ('[[carriers]]\nname = "telnyx"\n[[carriers]]\nname = "vonage"', {}, "telnyx"),
        ("", {}, "twilio"),
    ],
)
def test_the_carrier_is_that_of_the_file_or_the_environment(
    file: str, options: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PATTER_CARRIER", raising=False)
    for name, value in options.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "patter.toml").write_text(file)
    emulator, _ = _prepare(Registry.discover(), load(None), "")
    assert emulator.carrier().name == expected


def test_the_phone_of_a_program_is_called_by_its_own_carrier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app_of_simulate.py").write_text(
        "from patter_core import Patter, Registry\n"
        "from patter_core.testing.fakes import FakeEngine\n"
        "from patter_vonage.testing import VonageEmulator\n"
        "phone = Patter(carrier=VonageEmulator().carrier(), registry=Registry())\n"
        "agent = phone.agent(engine=FakeEngine())\n"
    )
    emulator, open_called = _prepare(Registry.discover(), load(None), "app_of_simulate:phone")
    phone, routing = open_called([])
    assert emulator.carrier().name == "vonage"
    assert phone.agents == (routing,)
    monkeypatch.setenv("PATTER_CARRIER", "telnyx")
    monkeypatch.setenv("PATTER_NOTICE", "Hi.")
    chosen, _ = _prepare(Registry.discover(), load(None), "app_of_simulate:phone")
    assert chosen.carrier().name == "telnyx"
    told = capsys.readouterr().err
    assert "PATTER_NOTICE is set, but the phone of a program has its own settings" in told
    assert "PATTER_CARRIER" not in told  # this command reads it
