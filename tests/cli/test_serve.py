"""`patter serve`, as a process: it answers a call, with everything from the environment, and stops on a signal."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import signal
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from patter_core.audio import ULAW_8000
from patter_core.cli.options import logger_names
from patter_core.cli.worker import run_worker
from patter_core.errors import ConfigurationError
from patter_core.net.http import send_request
from patter_core.observe.log_setup import LogSettings
from patter_core.registry import Registry
from patter_core.server.serving import bind
from patter_core.settings.load import load
from patter_core.testing.caller import Caller, Pause, WaitForAgent
from patter_core.testing.network import free_port
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_telnyx.testing import EmulatedNumber, TelnyxEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

PATTER = "from patter_core.cli import main; main()"


async def test_it_answers_a_call_and_stops_on_a_signal(tmp_path: Path) -> None:
    port = free_port()
    with anyio.fail_after(40):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
            environment = {
                **os.environ,
                **twilio.environment,
                "PATTER_ENGINE": "elevenlabs",
                "ELEVENLABS_API_KEY": elevenlabs.api_key,
                "ELEVENLABS_AGENT_ID": elevenlabs.agent_id,
                "ELEVENLABS_BASE_URL": elevenlabs.base_url,
                "PATTER_SYSTEM_PROMPT": "Be brief.",
            }
            command = [sys.executable, "-c", PATTER, "serve", "--carrier", "twilio", "--port", str(port)]
            async with await anyio.open_process(command, env=environment, cwd=tmp_path) as process:
                assert process.stderr is not None
                said = ""
                while "Point your number's voice webhook at" not in said:
                    said += (await process.stderr.receive()).decode()
                caller = Caller([WaitForAgent(heard=0.3), Pause(0.1)], ULAW_8000)
                recording = await twilio.call(f"http://127.0.0.1:{port}/webhooks/twilio/voice", caller)
                process.send_signal(signal.SIGTERM)
                said += b"".join([part async for part in process.stderr]).decode()
                assert await process.wait() == 0
    assert recording.played
    assert "Agent agent: The caller will hear the system_prompt" in said
    (line,) = [line for line in said.splitlines() if "INFO patter.calls: Call " in line]
    assert "caller hung up (by the caller); agent agent, " in line
    override = elevenlabs.conversations[0].initiation.conversation_config_override
    assert override is not None
    assert override.agent is not None
    assert override.agent.first_message == "Be brief."


def fill(pipe: int) -> None:
    """Writes until the pipe takes no more: its reader stalls."""
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"a" * 1_000)
    os.set_blocking(pipe, True)


@pytest.mark.parametrize("reader", ["stalls", "goes away"])
async def test_calls_go_on_when_the_reader_of_the_log_and_the_console(tmp_path: Path, reader: str) -> None:
    port = free_port()
    with anyio.fail_after(60):
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:
            environment = {
                **os.environ,
                **twilio.environment,
                "PATTER_ENGINE": "elevenlabs",
                "ELEVENLABS_API_KEY": elevenlabs.api_key,
                "ELEVENLABS_AGENT_ID": elevenlabs.agent_id,
                "ELEVENLABS_BASE_URL": elevenlabs.base_url,
            }
            (tmp_path / "patter.toml").write_text("[deadlines]\nengine_connect = 30\n")  # the machine may be busy
            command = [sys.executable, "-c", PATTER, "serve", "--carrier", "twilio", "--sink", "console", "-vv"]
            command += ["--port", str(port)]
            read, write = os.pipe()
            async with await anyio.open_process(command, env=environment, cwd=tmp_path, stderr=write) as process:
                said = b""
                while b"Point your number's voice webhook at" not in said:
                    said += await anyio.to_thread.run_sync(os.read, read, 1000)
                if reader == "goes away":
                    os.close(read)
                else:
                    fill(write)
                os.close(write)
                url = f"http://127.0.0.1:{port}/webhooks/twilio/voice"
                assert (await send_request("POST", url, headers={}, body=b"a=b")).status == 403  # which is logged
                callers = [Caller([WaitForAgent(heard=0.3), Pause(0.1)], ULAW_8000) for _ in range(2)]
                recordings = [await twilio.call(url, caller) for caller in callers]
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            if reader == "stalls":
                os.close(read)
    assert all(recording.played for recording in recordings)


async def test_it_answers_at_telnyx_s_too_and_doctor_finds_all_in_order(tmp_path: Path) -> None:
    port = free_port()
    with anyio.fail_after(60):
        async with TelnyxEmulator() as telnyx, ElevenLabsEmulator() as elevenlabs:
            telnyx.api.application.webhook_event_url = "https://voice.example/webhooks/telnyx/voice"
            telnyx.api.numbers = [
                EmulatedNumber(id="1", phone_number="+15005550001", connection_id=telnyx.connection_id)
            ]
            environment = {
                **os.environ,
                **telnyx.environment,
                "PATTER_APPS": "dashboard",
                "PATTER_APPS_PORT": str(free_port()),
                "PATTER_CARRIER": "telnyx",
                "PATTER_CARIER": "a hint",
                "PATTER_PORT": str(port),
                "PATTER_ENGINE": "elevenlabs",
                "ELEVENLABS_API_KEY": elevenlabs.api_key,
                "ELEVENLABS_AGENT_ID": elevenlabs.agent_id,
                "ELEVENLABS_BASE_URL": elevenlabs.base_url,
            }
            command = [sys.executable, "-c", PATTER]
            found = await anyio.run_process([*command, "doctor"], env=environment, cwd=tmp_path)
            serve = [*command, "serve", "--log-format", "json"]
            async with await anyio.open_process(serve, env=environment, cwd=tmp_path) as process:
                assert process.stderr is not None
                said = ""
                while "Point the webhook of your Voice API application at" not in said:
                    said += (await process.stderr.receive()).decode()
                caller = Caller([WaitForAgent(heard=0.3), Pause(0.1)], ULAW_8000)
                recording = await telnyx.call(f"http://127.0.0.1:{port}/webhooks/telnyx/voice", caller)
                process.send_signal(signal.SIGTERM)
                said += b"".join([part async for part in process.stderr]).decode()
                assert await process.wait() == 0
    assert recording.played
    lines = [json.loads(line) for line in said.splitlines()]
    told = [line["message"] for line in lines]
    assert any("PATTER_CARIER" in one for one in told)
    assert any(one.startswith("Apps: http://127.0.0.1:") for one in told)
    assert "token" not in said
    assert len([line for line in lines if line["logger"] == "patter.calls" and line.get("call_id")]) == 1
    assert "Telnyx accepts the key, and has the application." in found.stdout.decode()
    assert "A webhook without the carrier's signature is refused." in found.stdout.decode()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("asked", ["", "1"])
async def test_what_a_program_raises_is_told_in_one_line_or_with_its_traceback(
    tmp_path: Path, workers: str, asked: str
) -> None:
    (tmp_path / "app.py").write_text("import not_installed\n")
    command = [sys.executable, "-c", PATTER, "serve", "app.py", "--port", "0", "--workers", workers]
    environment = {**os.environ, "PATTER_TRACEBACK": asked}
    result = await anyio.run_process(command, env=environment, cwd=tmp_path, check=False)
    told = "patter: app.py, line 1: ModuleNotFoundError: No module named 'not_installed'."
    assert result.returncode == 1
    assert (b"Traceback" in result.stderr) is bool(asked)
    assert asked or f"{told} PATTER_TRACEBACK=1 prints the traceback." in result.stderr.decode()


async def test_without_credentials_it_says_so_in_one_line(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TWILIO")}
    command = [sys.executable, "-c", PATTER, "serve", "--carrier", "twilio", "--port", "0"]
    result = await anyio.run_process(command, env=environment, cwd=tmp_path, check=False)
    assert result.returncode == 1
    assert result.stderr.decode().startswith("patter: Twilio(account_sid=…) is missing.")
    assert b"Traceback" not in result.stderr


BESIDE_THE_PORT = {
    "credentials": ("", "TWILIO_ACCOUNT_SID"),
    "a program": ("app.py", "app.py, line 1: KeyError: 'SHOP_URL'."),
}


@pytest.mark.parametrize(("app", "said"), BESIDE_THE_PORT.values(), ids=BESIDE_THE_PORT.keys())
async def test_a_port_that_is_taken_is_told_after_what_else_is_wrong(tmp_path: Path, app: str, said: str) -> None:
    (tmp_path / "app.py").write_text("raise KeyError('SHOP_URL')\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TWILIO")}
    named = [app] if app else ["--carrier", "twilio", "--engine", "elevenlabs"]
    with bind("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-c", PATTER, "serve", "--port", port, *named]
        result = await anyio.run_process(command, env=environment, cwd=tmp_path, check=False)
    first, *others = result.stderr.decode().splitlines()
    assert said in first
    assert others[-1].startswith(f"  Cannot listen on 127.0.0.1 port {port}: ")


def test_a_file_where_the_control_socket_would_be_is_left_and_told_before_the_worker_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keep.txt"
    file.write_text("hello")
    environment = {"PATTER_CONTROL": file, "TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "01234567" * 4}
    for name, value in {**environment, "ELEVENLABS_API_KEY": "key", "ELEVENLABS_AGENT_ID": "agent"}.items():
        monkeypatch.setenv(name, str(value))
    settings = load(None, carrier="twilio", engine="elevenlabs")
    said: list[bytes] = []
    with bind("127.0.0.1", 0) as listener, pytest.raises(ConfigurationError, match="is not a control socket"):
        run_worker(
            Registry.discover(),
            settings,
            "",
            listener=listener,
            logs=LogSettings(),
            say=said.append,
        )
    assert not said  # else its supervisor would start it again and again
    assert file.read_text() == "hello"


def test_verbosity_is_that_of_every_plugin_whatever_its_loggers_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_voice.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry.discover([importlib.metadata.EntryPoint("acme", "acme_voice", "patter")])
    assert {"patter", "acme_voice"} <= logger_names(registry)
    assert {"patter_twilio", "patter_elevenlabs"} <= logger_names(Registry.discover())
