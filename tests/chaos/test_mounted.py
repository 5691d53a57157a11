"""Mounted in an app, under the servers that people use: SIGTERM lets live calls finish before the server cuts them."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.testing.caller import Pause, WaitForAgent
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_telnyx.testing import TelnyxEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import Ending, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

APP = "tests.chaos.mounted:app"
VOICE = "tests.chaos.mounted:voice"
"""The app itself: the server's own `receive` and `send`, without those of an app around it."""
BARE = "tests.chaos.mounted:without_lifespan"
UVICORN = (sys.executable, "-m", "uvicorn", APP, "--port", "PORT", "--log-level", "warning")


def server(name: str, *command: str) -> object:
    """A parameter; skipped where that server is not installed."""
    missing = importlib.util.find_spec(name) is None
    arguments = " ".join(part for part in command[3:] if part not in {APP, "--port", "PORT"})
    return pytest.param(
        command, id=f"{name} {arguments}", marks=[pytest.mark.skipif(missing, reason=f"{name} is not installed here")]
    )


SERVERS = [
    server("uvicorn", *UVICORN, "--ws", "websockets"),
    server("uvicorn", *UVICORN, "--ws", "websockets-sansio"),
    server("uvicorn", *UVICORN, "--ws", "websockets-sansio", "--loop", "uvloop"),
    server("wsproto", *UVICORN, "--ws", "wsproto"),
    server("uvicorn", *UVICORN, "--workers", "2"),
    server("uvicorn", sys.executable, "-m", "uvicorn", BARE, "--port", "PORT", "--ws", "websockets-sansio"),
    server("hypercorn", sys.executable, "-m", "hypercorn", APP, "-b", "127.0.0.1:PORT", "-w", "0"),
    server("hypercorn", sys.executable, "-m", "hypercorn", APP, "-b", "127.0.0.1:PORT", "--graceful-timeout", "20"),
    server("hypercorn", sys.executable, "-m", "hypercorn", VOICE, "-b", "127.0.0.1:PORT", "-w", "0"),
    server("granian", sys.executable, "-m", "granian", "--interface", "asgi", APP, "--port", "PORT"),
    server("granian", sys.executable, "-m", "granian", "--interface", "asgi", VOICE, "--port", "PORT"),
]


def endings(file: Path) -> list[Ending]:
    return [msgspec.json.decode(line, type=Ending) for line in file.read_bytes().splitlines()]


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("command", SERVERS)
async def test_a_mounted_phone_lets_its_calls_finish(
    command: Sequence[str], emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    ends = tmp_path / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    settings = Settings(drain=20, linger=0.5, ends=str(ends), several_workers="--workers" in command)
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(settings, command)
        callers = Callers(fleet, 3, steps=(WaitForAgent(heard=1), Pause(4)))
        await callers.talk(tasks)
        began = anyio.current_time()
        worker.send(signal.SIGTERM)
        await anyio.sleep(1)
        await callers.all_hear_more(callers.heard(), within=2)
        for call in callers.calls:
            with anyio.fail_after(15):
                await call.over.wait()
        lasted = anyio.current_time() - began
        with anyio.fail_after(15):
            await worker.process.wait()
        took = anyio.current_time() - began
    assert lasted > 2.5, worker.said
    assert callers.streams() == [1] * 3  # it was never cut
    told = [end.reason for end in endings(ends)]
    assert len(told) == 3, worker.said
    assert set(told) <= {"caller_hung_up", "media_lost"}, worker.said  # by a write before the read
    assert took < 18, worker.said
    note(f"SIGTERM to {' '.join(command[2:3])}, 3 calls, {emulator.__name__}", tried=3, lost=0, figure=f"{took:.1f} s")


@pytest.mark.quick
async def test_a_second_signal_hangs_up_and_ends_the_server(tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TelnyxEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(drain=30, linger=30, ends=str(ends)), UVICORN)
        callers = Callers(fleet, 3)
        await callers.talk(tasks)
        worker.send(signal.SIGTERM)
        await anyio.sleep(0.5)
        assert callers.lost == 0
        began = anyio.current_time()
        worker.send(signal.SIGTERM)
        with anyio.fail_after(10):
            await worker.process.wait()
            for call in callers.calls:
                await call.over.wait()
        took = anyio.current_time() - began
    assert len(endings(ends)) == 3, worker.said
    note("SIGTERM twice to a mounted app, 3 calls", tried=3, lost=0, figure=f"{took:.1f} s until all were hung up")
