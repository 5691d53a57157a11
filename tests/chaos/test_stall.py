"""A process that stands still for a moment: what it missed is made good within a second, both ways."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest

from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import Callers, talking
from tests.chaos.fleet import EMULATORS, AnyCarrier, running_fleet
from tests.chaos.report import note
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

CALLS = 5
STALL = 0.6
AHEAD = 0.4
HEALED_WITHIN = 1.0


@pytest.mark.quick
@pytest.mark.parametrize("emulator", EMULATORS)
async def test_a_stall_heals_within_a_second(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady(ahead=AHEAD)))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start()
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks)
        await anyio.sleep(1)
        since = callers.positions()
        worker.send(signal.SIGSTOP)
        await anyio.sleep(STALL)
        worker.send(signal.SIGCONT)

        def healed() -> bool:
            """The carrier has as much ahead as before, and the engine has heard the caller up to now."""
            sent = sorted(call.stream.frames_sent * 160 for call in callers.calls)
            heard = sorted(len(talk.heard) for talk in talking(engine))
            ahead = min(call.stream._buffer.duration_ms for call in callers.calls)
            behind = max(there - here for there, here in zip(sent, heard, strict=True)) / 8
            return ahead >= (AHEAD - 0.1) * 1000 and behind <= 200

        assert not healed()
        took = await until(healed, within=5)
        gap, lost = callers.longest_gap_ms(since), callers.lost
        tasks.cancel_scope.cancel()
    assert took < HEALED_WITHIN
    assert lost == 0
    note(
        f"a stall of {STALL:.1f} s, {emulator.__name__}",
        tried=CALLS,
        lost=lost,
        figure=f"healed after {took:.2f} s, gap {gap:.0f} ms",
    )
