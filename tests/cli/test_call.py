"""`patter call`, as a process: it has an emulated carrier call somebody, and tells what becomes of it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest
from _pytest.capture import CaptureResult

from patter_core.audio import ULAW_8000
from patter_core.cli.commands import main
from patter_core.server.serving import bind
from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.call import Callee
from patter_core.testing.caller import EndCall, Pause, Say, WaitForAgent, WaitForSilence
from patter_core.testing.speech import CALLER_LINES
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_plivo.testing import PlivoEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

PATTER = "from patter_core.cli import main; main()"
TO = "+15550009876"
TALK = (WaitForAgent(heard=0.3), WaitForSilence(0.3), Say(CALLER_LINES[0].audio(ULAW_8000)), Pause(0.1), EndCall())


class Result:
    def __init__(self, code: int, output: str) -> None:
        self.code = code
        self.output = output


async def patter_call(
    carrier: Mapping[str, str], engine: ElevenLabsEmulator, cwd: Path, *arguments: str, interrupt_at: str = ""
) -> Result:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "COLUMNS": "200",
        "PATTER_ENGINE": "elevenlabs",
        "ELEVENLABS_API_KEY": engine.api_key,
        "ELEVENLABS_AGENT_ID": engine.agent_id,
        "ELEVENLABS_BASE_URL": engine.base_url,
        "PATTER_PHONE_NUMBER": "+15550001234",
        "PATTER_WEBHOOK_URL": f"http://127.0.0.1:{port}",
        "PATTER_PORT": str(port),
        **carrier,
    }
    output = ""
    command: Sequence[str] = [sys.executable, "-c", PATTER, "call", TO, *arguments]
    async with await anyio.open_process(command, env=environment, cwd=cwd, stderr=-2) as process:
        assert process.stdout is not None
        async for piece in process.stdout:
            output += piece.decode()
            if interrupt_at and interrupt_at in output:
                process.send_signal(signal.SIGINT)
                interrupt_at = ""
        return Result(await process.wait(), output)


async def test_somebody_answers_at_twilio_s(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine:
            twilio.callees[TO] = Callee(steps=TALK)
            result = await patter_call(
                twilio.environment, engine, tmp_path, "--carrier", "twilio", "--first-message", "Hello Ada."
            )
    assert result.code == 0, result.output
    assert "agent:  Hello Ada." in result.output
    assert "caller hung up" in result.output
    assert TO not in result.output
    assert twilio.calls[0].recording.played


async def test_what_is_said_is_redacted_if_so_configured(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine:
            twilio.callees[TO] = Callee(steps=TALK)
            environment = {**twilio.environment, "PATTER_REDACT_TRANSCRIPTS": "1"}
            result = await patter_call(
                environment, engine, tmp_path, "--carrier", "twilio", "--first-message", "Hello Ada."
            )
    assert result.code == 0, result.output
    assert "agent:  [redacted]" in result.output
    assert "Ada" not in result.output


async def test_somebody_answers_at_telnyx_s(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with TelnyxEmulator() as telnyx, ElevenLabsEmulator() as engine:
            telnyx.callees[TO] = Callee(steps=TALK)
            result = await patter_call(telnyx.environment, engine, tmp_path, "--carrier", "telnyx")
    assert result.code == 0, result.output
    assert "caller hung up" in result.output


async def test_a_message_for_a_machine_is_left_also_where_the_carrier_asks_for_it_after_the_end(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with PlivoEmulator() as plivo, ElevenLabsEmulator() as engine:
            plivo.callees[TO] = Callee(answered_by=AnsweredBy.MACHINE, detected_after=0.4)
            options = ("--carrier", "plivo", "--voicemail", "Please call back.")
            result = await patter_call(plivo.environment, engine, tmp_path, *options)
            await plivo.calls[0].over.wait()
    assert "voicemail" in result.output
    assert plivo.calls[0].spoken == ["Please call back."], result.output


async def test_a_line_that_is_busy_is_exit_code_1(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine:
            twilio.callees[TO] = Callee(outcome=Progress.BUSY)
            result = await patter_call(twilio.environment, engine, tmp_path, "--carrier", "twilio")
    assert result.code == 1, result.output
    assert "busy" in result.output


async def test_ctrl_c_hangs_up(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine:
            twilio.callees[TO] = Callee(steps=(Pause(60),))
            result = await patter_call(
                twilio.environment, engine, tmp_path, "--carrier", "twilio", interrupt_at="is ready after"
            )
    assert "host hung up" in result.output
    assert twilio.calls[0].status == "completed"


async def test_without_a_public_address_it_says_what_to_do(tmp_path: Path) -> None:
    async with TwilioEmulator() as twilio, ElevenLabsEmulator() as engine:
        without = {**twilio.environment, "PATTER_WEBHOOK_URL": ""}
        result = await patter_call(without, engine, tmp_path, "--carrier", "twilio")
    assert result.code == 1
    assert result.output.startswith("patter: Outbound calls need the public address of this server.")


async def test_without_a_public_address_of_its_own_a_program_is_told_which_parameter_sets_it(tmp_path: Path) -> None:
    await anyio.Path(tmp_path, "shop.py").write_text(
        "from patter_core import Patter\n"
        "from patter_core.testing.fakes import FakeCarrier, FakeEngine\n"
        'phone = Patter(carrier=FakeCarrier(), phone_number="+15550001234")\n'
        "agent = phone.agent(engine=FakeEngine())\n"
    )
    async with ElevenLabsEmulator() as engine:
        result = await patter_call({"PATTER_ENGINE": ""}, engine, tmp_path, "--app", "shop.py")
    warning, error = result.output.splitlines()[:2]
    assert warning.startswith("patter: PATTER_WEBHOOK_URL is set, but the phone of a program has its own settings: ")
    ways = "Patter(webhook_url=…); for commands without a program PATTER_WEBHOOK_URL, or webhook_url in patter.toml"
    assert f" Expected {ways}. " in error


def run_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> CaptureResult[str]:
    environment = {
        "PATTER_CARRIER": "twilio",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "01234567" * 4,
        "PATTER_ENGINE": "elevenlabs",
        "ELEVENLABS_API_KEY": "key",
        "ELEVENLABS_AGENT_ID": "agent",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["patter", "call", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    return capsys.readouterr()


def test_a_server_that_runs_in_another_folder_is_told_with_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PATTER_CONTROL", raising=False)
    with bind("127.0.0.1", 0) as server:
        port = str(server.getsockname()[1])
        out, err = run_call(monkeypatch, capsys, TO, "--port", port)
        assert not out
        assert f"A server seems to run there. No server listens at the control socket {tmp_path}/.patter-{port}" in err
        assert err.endswith("set PATTER_CONTROL to its control socket, or choose another --port.\n")
        monkeypatch.setenv("PATTER_CONTROL", "there.sock")
        out, err = run_call(monkeypatch, capsys, TO, "--port", port)
        nothing = f"PATTER_CONTROL names {tmp_path}/there.sock, where no server listens. "
        assert out == f"{nothing}This command serves the call itself.\n"
        assert nothing in err
        monkeypatch.setenv("PATTER_CONTROL", "off")
        assert (
            "PATTER_CONTROL is `off`, so no server was asked." in run_call(monkeypatch, capsys, TO, "--port", port).err
        )


def test_the_number_is_checked_before_all_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATTER_PORT", "no port")
    assert run_call(monkeypatch, capsys, "abc")[1].startswith("patter: `to` is not an E.164 number.")
