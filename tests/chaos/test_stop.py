"""The signals of an operator: the second one ends calls at once but tidily, SIGHUP drains, threads keep no process."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.testing.caller import Pause
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import FOREVER, Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, running_fleet
from tests.chaos.report import note
from tests.chaos.worker import Ending, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]


def reasons(file: Path) -> list[str]:
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Ending).reason for line in lines]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("emulator", EMULATORS)
async def test_a_second_signal_hangs_up_at_once_and_tells_the_ends(
    emulator: type[AnyCarrier], number: signal.Signals, tmp_path: Path
) -> None:
    ends = tmp_path / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(drain=60, linger=60, ends=str(ends), several_workers=True))
        callers = Callers(fleet, 4)
        await callers.talk(tasks)
        worker.send(number)
        await anyio.sleep(0.5)
        await callers.all_hear_more(callers.heard(), within=2)
        began = anyio.current_time()
        worker.send(number)
        with anyio.fail_after(12):
            code = await worker.process.wait()
            for call in callers.calls:
                await call.over.wait()
        took = anyio.current_time() - began
    assert code == 0, worker.said
    assert reasons(ends) == ["host_hung_up"] * 4, worker.said
    assert "Traceback" not in worker.said
    note(f"{number.name} twice, 4 calls, {emulator.__name__}", tried=4, lost=0, figure=f"{took:.1f} s to the end")


@pytest.mark.quick
async def test_when_the_terminal_closes_live_calls_are_let_finish(tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(drain=20, ends=str(ends)))
        callers = Callers(fleet, 2, steps=(Pause(3),))
        await callers.talk(tasks)
        worker.send(signal.SIGHUP)
        with anyio.fail_after(20):
            code = await worker.process.wait()
    assert code == 0
    assert set(reasons(ends)) <= {"caller_hung_up", "media_lost"}, worker.said
    assert len(reasons(ends)) == 2
    note("SIGHUP, 2 calls", tried=2, lost=0)


async def test_under_nohup_a_terminal_that_closes_changes_nothing(tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        command = ("nohup", sys.executable, "-m", "tests.chaos.worker")
        worker = await fleet.start(Settings(), command)
        callers = Callers(fleet, 1, steps=FOREVER)
        tasks.start_soon(callers.calls[0].run)
        await callers.all_hear_more([0], within=15)
        worker.send(signal.SIGHUP)
        await anyio.sleep(1)
        await callers.all_hear_more(callers.heard(), within=2)
        assert worker.process.returncode is None
        lost = callers.lost
        tasks.cancel_scope.cancel()
    assert lost == 0
    note("SIGHUP under nohup, 1 call", tried=1, lost=lost)


@pytest.mark.quick
async def test_threads_that_hang_keep_no_process(tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(drain=0.2, callbacks="threads"))
        callers = Callers(fleet, 1)
        tasks.start_soon(callers.calls[0].run)
        await callers.all_hear_more([0], within=15)
        began = anyio.current_time()
        worker.send(signal.SIGTERM)
        with anyio.fail_after(25):
            code = await worker.process.wait()
        took = anyio.current_time() - began
        await worker.listened.wait()
        tasks.cancel_scope.cancel()
    assert code == 0
    assert "ends although threads still run" in worker.said
    note("SIGTERM with threads that hang for a minute", tried=1, lost=0, figure=f"{took:.1f} s to the end")
