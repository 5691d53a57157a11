"""A restart on one host: two instances share a socket, as under systemd, and no call is turned away or cut."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.abc
import pytest

from patter_core.audio import ULAW_8000
from patter_core.net.http import send_request
from patter_core.server.serving import bind
from patter_core.testing.caller import Caller, Pause, Say, Step, WaitForAgent
from patter_core.testing.network import free_port
from patter_core.testing.speech import CALLER_LINES
from patter_elevenlabs.testing import ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator

pytestmark = pytest.mark.anyio

INSTANCE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
sys.argv[1:] = ["serve", "--carrier", "twilio", "--workers", sys.argv[2]]
from patter_core.cli import main
main()
"""


async def start(listener: socket.socket, workers: int, folder: Path, environment: dict[str, str]) -> anyio.abc.Process:
    """Starts an instance, and waits until it says that it is ready at the socket for that, as systemd does."""
    path = environment["NOTIFY_SOCKET"]
    await anyio.Path(path).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        process = await anyio.open_process(
            [sys.executable, "-c", INSTANCE, str(listener.fileno()), str(workers)],
            pass_fds=[listener.fileno()],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await anyio.wait_readable(manager)
        assert manager.recv(100) == b"READY=1"
    return process


async def ready(host: str) -> int:
    """What an instance answers, on a connection of its own."""
    return (await send_request("GET", f"{host}/health/ready", headers={"connection": "close"})).status


async def serves(port: int) -> bool:
    """True if the apps are there: they ask who comes."""
    try:
        await send_request("GET", f"http://127.0.0.1:{port}/dashboard/", headers={})
    except OSError:
        return False
    return True


@pytest.mark.parametrize("workers", [1, 2])
async def test_calls_come_all_the_time_and_none_is_lost(tmp_path: Path, socket_folder: Path, workers: int) -> None:
    lines: list[Step] = [Say(CALLER_LINES[-1].audio(ULAW_8000)), WaitForAgent(heard=0.3), Pause(2)]
    answered: list[bytearray] = []
    refused: list[str] = []
    apps = free_port()
    (tmp_path / "patter.toml").write_text("[limits]\ndrain = 60\nlinger = 1\n[deadlines]\nengine_connect = 30\n")
    with anyio.fail_after(120), bind("127.0.0.1", 0) as listener:
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        url = f"{host}/webhooks/twilio/voice"
        async with TwilioEmulator() as twilio, ElevenLabsEmulator() as elevenlabs:

            async def call() -> None:
                try:
                    recording = await twilio.call(url, Caller([WaitForAgent(heard=0.3), *lines], ULAW_8000))
                    answered.append(recording.played)
                except Exception as error:  # noqa: BLE001 - all that a caller may meet is a failure of the test
                    refused.append(repr(error))

            environment = {
                **os.environ,
                **twilio.environment,
                "PATTER_ENGINE": "elevenlabs",
                "ELEVENLABS_API_KEY": elevenlabs.api_key,
                "ELEVENLABS_AGENT_ID": elevenlabs.agent_id,
                "ELEVENLABS_BASE_URL": elevenlabs.base_url,
                "PATTER_APPS": "dashboard",
                "PATTER_APPS_PORT": str(apps),
                "NOTIFY_SOCKET": str(socket_folder / "notify"),
            }
            old = await start(listener, workers, tmp_path, environment)
            async with anyio.create_task_group() as calls:
                held = twilio.place(url, Caller([Pause(100)], ULAW_8000))  # it keeps the old instance alive
                calls.start_soon(held.run)
                await held.streaming()
                for _ in range(8):  # the last ones are live when the old instance is told to stop
                    calls.start_soon(call)
                    await anyio.sleep(0.1)
                new = await start(listener, workers, tmp_path, environment)
                old.send_signal(signal.SIGTERM)
                for _ in range(12):  # these come while it drains
                    calls.start_soon(call)
                    await anyio.sleep(0.1)
                assert [await ready(host) for _ in range(20)] == [200] * 20  # never the one that drains
                assert old.returncode is None
                held.end()
            assert await old.wait() == 0
            calls_after = len(answered)
            while not await serves(apps):  # noqa: ASYNC110 - the other process tells no one
                await anyio.sleep(0.05)
            await call()
            new.send_signal(signal.SIGTERM)
            assert await new.wait() == 0
    assert refused == []
    assert calls_after == 20
    assert all(answered)
    assert len(elevenlabs.conversations) == 22
