"""A hostile engine beside live calls: what it sends costs its own call, and its neighbours nothing they could hear."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from patter_core.testing.caller import Caller
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.chaos.callers import FOREVER
from tests.chaos.fleet import AnyCall, Fleet, Worker, running_fleet
from tests.chaos.hostile import FLOODS, HostileEngine
from tests.chaos.report import note
from tests.chaos.round_trips import harmed, neighbours, parrot
from tests.chaos.worker import OTHER_NUMBER, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

FLOODED = 6.0
"""Seconds that each flood lasts."""
GIVEN_UP_WITHIN = 15.0
"""Seconds: a burst of ten seconds' worth, ten of patience, less what it sends faster than that."""
TOLD_ONCE = "An engine sends more than a conversation can need"
MOST_LINES = 3
"""That one, and of its tool calls the first and how many followed."""


def place(fleet: Fleet, worker: Worker) -> AnyCall:
    """A call whose engine is the hostile one."""
    return fleet.carrier.place(fleet.url_of(worker.port), Caller(FOREVER, fleet.carrier.format), to_number=OTHER_NUMBER)


@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("what", FLOODS)
async def test_what_an_engine_floods_costs_its_own_call_only(what: str, *, uvloop: bool, tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=parrot))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, HostileEngine().running() as hostile:
        worker = await fleet.start(Settings(hostile=hostile.base_url, uvloop=uvloop))
        hostile.flood = FLOODS[what]
        async with neighbours(fleet, worker) as others, harmed(others, worker) as harm:
            victim = place(fleet, worker)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(victim.run)
                with anyio.move_on_after(FLOODED):
                    await victim.over.wait()
                victim.end()
        talks = hostile.talks
    assert talks == 1
    harm.check()
    assert worker.said.count(TOLD_ONCE) <= 1
    assert len(worker.said.splitlines()) <= MOST_LINES, worker.said
    loop = "uvloop" if uvloop else "asyncio"
    note(f"an engine that floods: {what}, 3 more calls, {loop}", tried=3, lost=harm.lost, figure=str(harm))


async def test_an_engine_that_does_not_stop_is_given_up_and_told_once(tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=parrot))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, HostileEngine().running() as hostile:
        worker = await fleet.start(Settings(hostile=hostile.base_url))
        async with neighbours(fleet, worker) as others, harmed(others, worker) as harm:
            victim = place(fleet, worker)
            began = anyio.current_time()
            with anyio.fail_after(GIVEN_UP_WITHIN):
                await victim.run()
            took = anyio.current_time() - began
        close_codes = hostile.close_codes
    harm.check()
    assert close_codes == [1008]
    assert worker.said.count(TOLD_ONCE) == 1, worker.said
    note(
        "an engine that floods for good, 3 more calls",
        tried=3,
        lost=harm.lost,
        figure=f"given up after {took:.1f} s, {harm}",
    )
