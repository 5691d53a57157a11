"""`patter demo` with an agent of parts: what was said is recognised, answered and heard, and is on the recording."""

from __future__ import annotations

import signal
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import anyio
import numpy as np
import pytest
from click.testing import CliRunner

from patter_core import Patter, Registry
from patter_core.agent import Agent
from patter_core.audio import AudioFormat, Encoding
from patter_core.cli import demo as demo_module
from patter_core.cli.demo import demo
from patter_core.engine import ConversationSetup
from patter_core.errors import ConfigurationError, PluginNotFound
from patter_core.telephony.leg import Leg
from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CarrierEmulator
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, recognise
from patter_core.testing.speech import AGENT_LINES, CALLER_LINES, REPLIES, WELCOME, Line

pytestmark = pytest.mark.anyio

BOOKING, CORRECTION, _, GOODBYE = CALLER_LINES
CALLS = {
    "twilio": ("--pipeline",),
    "telnyx": ("--part", "stt=elevenlabs", "--part", "tts=elevenlabs"),
    "vonage": ("--part", "tts=elevenlabs"),
    "browser": ("--pipeline",),
    "plivo": ("--pipeline", "--part", "stt=elevenlabs"),
}
"""What each carrier's call is made with: each part that has an emulator is in two of them."""


async def place(carrier: str, arguments: tuple[str, ...], folder: Path, outputs: dict[str, str]) -> None:
    """Runs the command to its end."""
    command = [sys.executable, "-c", "from patter_core.cli.commands import main; main()"]
    ran = await anyio.run_process(
        [*command, "demo", "--carrier", carrier, *arguments, "--out", str(folder / carrier)],
        check=False,
        stderr=subprocess.STDOUT,
    )
    assert ran.returncode == 0, ran.stdout.decode()
    outputs[carrier] = ran.stdout.decode()


def spoken(path: Path, side: int, lines: Sequence[Line]) -> list[str]:
    """Returns the lines that are heard on one side of the recording; what is none of them is left out."""
    with wave.open(str(path), "rb") as file:
        format = AudioFormat(Encoding.PCM16, file.getframerate())
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    turns = EndOfTurn(format).feed(samples[:, side].tobytes() + bytes(format.size(1_000)))
    heard = [recognise(turn.audio, format, lines) for turn in turns if isinstance(turn, SpeechEnded)]
    return [text for text in heard if text]


@pytest.mark.slow  # five calls of 20 s at the same time: they take as long as what is said
async def test_a_call_with_parts_is_recognised_answered_and_heard_on_each_carrier(tmp_path: Path) -> None:
    outputs: dict[str, str] = {}
    with anyio.fail_after(90):
        async with anyio.create_task_group() as tasks:
            for carrier, arguments in CALLS.items():
                tasks.start_soon(place, carrier, arguments, tmp_path, outputs)
    for carrier in CALLS:
        transcript = (tmp_path / carrier / "transcript.txt").read_text().splitlines()
        (cut,) = (line for line in transcript if line.startswith("agent, as far as heard: "))
        transcript.remove(cut)
        assert transcript == [
            f"agent:  {WELCOME.text}",
            f"caller: {BOOKING.text}",
            f"agent:  {REPLIES[BOOKING].text}",
            f"caller: {CORRECTION.text}",
            f"agent:  {REPLIES[CORRECTION].text}",
            f"caller: {GOODBYE.text}",
            f"agent:  {REPLIES[GOODBYE].text}",
        ], carrier
        heard = cut.removeprefix("agent, as far as heard: ")
        assert REPLIES[BOOKING].text.startswith(heard)
        assert 0 < len(heard) < len(REPLIES[BOOKING].text) / 2
        assert "the caller interrupts the agent" in outputs[carrier]
        recording = tmp_path / carrier / "call.wav"
        assert spoken(recording, 0, CALLER_LINES) == [BOOKING.text, CORRECTION.text, GOODBYE.text]
        whole = [WELCOME.text, REPLIES[CORRECTION].text, REPLIES[GOODBYE].text]
        assert spoken(recording, 1, AGENT_LINES) == whole, carrier


@pytest.mark.parametrize("carrier", CALLS)
def test_the_agent_of_an_emulated_account_speaks_the_format_of_the_carrier(
    carrier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no account whose settings the reader could change."""
    opened: list[object] = []

    async def place(emulator: CarrierEmulator, _phone: Patter, agent: Agent, _caller: Caller, **_: object) -> None:
        leg = Leg(carrier=carrier, call_id="leg-1")
        session = await agent.engine.open(ConversationSetup(leg=leg, preferred_format=emulator.format))
        opened.append(session)
        await session.aclose()

    monkeypatch.setattr(demo_module, "place_call", place)
    arguments = ["--carrier", carrier, "--engine", "elevenlabs", "--out", str(tmp_path)]
    CliRunner().invoke(demo, arguments, obj=Registry.discover())
    assert len(opened) == 1
    assert "audio is converted" not in caplog.text


PATTER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored if it is where the tests were started
from patter_core.cli.commands import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT")
async def test_what_there_is_at_ctrl_c_is_kept_and_each_line_is_printed_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PATTER, "demo", "--sink", "console"]
    out = tmp_path / "out"
    with anyio.fail_after(30):
        async with await anyio.open_process([*command, "--out", str(out)], stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            told = ""
            async for piece in process.stdout:
                told += piece.decode()
                if "agent:  Hello" in told:
                    break
            await anyio.sleep(0.3)  # a bit of the welcome
            process.send_signal(signal.SIGINT)
            async for piece in process.stdout:
                told += piece.decode()
    assert process.returncode == 130, told
    assert told.count("rings, inbound") == 1
    assert "Aborted" not in told
    assert f"Interrupted.\n{out} holds call.wav (caller left, agent right), transcript.txt and metrics.txt\n" in told
    assert {path.name for path in out.iterdir()} == {"call.wav", "transcript.txt", "metrics.txt"}
    with wave.open(str(out / "call.wav"), "rb") as file:
        assert 0 < file.getnframes() < 4 * file.getframerate()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT")
async def test_a_second_ctrl_c_ends_it_in_silence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PATTER, "demo", "--out", str(tmp_path / "out")]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            told = ""
            async for piece in process.stdout:
                told += piece.decode()
                if "agent:  Hello" in told:
                    break
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                await anyio.sleep(0.02)
            async for piece in process.stdout:
                told += piece.decode()
    assert process.returncode == 130, told
    assert "Aborted" not in told
    assert "Traceback" not in told


def test_plugins_that_are_switched_off_are_named() -> None:
    error = run(registry=Registry.discover(disabled=["browser", "plivo", "telnyx", "twilio", "vonage"]))
    assert isinstance(error, PluginNotFound)
    assert "switched off by PATTER_DISABLE: browser, plivo, telnyx, twilio, vonage." in str(error)


def run(*arguments: str, registry: Registry | None = None) -> BaseException | None:
    """Runs the command; returns what it raises."""
    return CliRunner().invoke(demo, arguments, obj=registry or Registry.discover()).exception


WRONG = {
    "an engine beside": (("--pipeline", "--engine", "elevenlabs"), "an engine, or a pipeline"),
    "a part without a kind": (("--part", "deepgram"), "KIND=NAME, each kind once. Got deepgram"),
    "two of a kind": (("--part", "stt=deepgram", "--part", "stt=elevenlabs"), "each kind once. Got stt=elevenlabs"),
    "a kind that there is not": (("--part", "ears=deepgram"), "Expected stt or llm or tts. Got ears"),
    "a kind that has no emulator": (("--part", "vad=webrtc"), "Expected stt or llm or tts. Got vad"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_played_is_told_and_leaves_no_folder(case: str, tmp_path: Path) -> None:
    arguments, message = WRONG[case]
    error = run(*arguments, "--out", str(tmp_path / "calls" / "demo"))
    assert isinstance(error, ConfigurationError)
    assert message in str(error)
    assert not list(tmp_path.iterdir())


def test_an_emulator_that_does_nothing_by_itself_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("patter_deepgram.testing.DeepgramSTTEmulator.for_demo", lambda: None)
    error = run("--part", "stt=deepgram", "--out", str(tmp_path / "demo"))
    assert isinstance(error, ConfigurationError)
    assert str(error) == (
        "The stt “deepgram” has no emulator for the demo. Name another one. One of your own is offered by `for_demo` of"
        " the emulator that its class names."
    )


def test_a_part_that_is_not_installed_is_told() -> None:
    error = run("--part", "stt=nothing")
    assert isinstance(error, PluginNotFound)
    assert "No stt “nothing” is installed. Got stts: deepgram, elevenlabs." in str(error)


@pytest.mark.parametrize(
    ("disabled", "message"),
    [
        ("openai", "No llm with an emulator for the demo is installed. Got llm: none. Install patter-openai."),
        ("deepgram,elevenlabs", "Install patter-deepgram or patter-elevenlabs."),
        ("pipeline", "pip install patter-pipeline"),
    ],
)
def test_a_plugin_that_is_missing_is_named(disabled: str, message: str) -> None:
    error = run("--pipeline", registry=Registry.discover(disabled=disabled.split(",")))
    assert isinstance(error, PluginNotFound)
    assert message in str(error)
