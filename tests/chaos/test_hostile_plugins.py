"""A plugin turns hostile beside three live calls: they hear nothing of it, and its own call comes to its end."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.call.timeouts import Deadlines
from patter_core.testing.caller import Caller
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.chaos.agents import LEAVES_AFTER, uses_tools_and_leaves
from tests.chaos.callers import FOREVER
from tests.chaos.fleet import Worker, running_fleet
from tests.chaos.hostile_plugins import BLOCKS, LATE_WAYS
from tests.chaos.report import bound, note
from tests.chaos.round_trips import P99_BOUND_MS, harmed, neighbours, parrot
from tests.chaos.worker import OTHER_NUMBER, Ending, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

ENDS_WITHIN = 5.0
NAMED_WITHIN = 1.0
STOPS_WITHIN = 20.0
BLOCKED = "The event loop was blocked"
PLACE = "hold_the_loop"
QUICK = {("events", "exit"), ("decode", "cancel")}
CASES = [
    pytest.param(part, how, marks=[pytest.mark.quick] * ((part, how) in QUICK), id=f"{part}: {how}")
    for part, hows in {**LATE_WAYS, "tool": ("block",)}.items()
    for how in hows
]


async def named_after(worker: Worker) -> float:
    """How long it takes from a block to the log's line that says where it was, in s."""
    await until(lambda: BLOCKS in worker.said, within=10, every=0.02)
    since = anyio.current_time()
    await until(lambda: BLOCKED in worker.said and PLACE in worker.said, within=10, every=0.02)
    return anyio.current_time() - since


@pytest.mark.parametrize(("part", "how"), CASES)
async def test_a_plugin_that_turns_hostile_harms_its_own_call_only(part: str, how: str, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=parrot))
    named = 0.0
    async with (
        running_fleet(TwilioEmulator, engine, tmp_path) as fleet,
        ElevenLabsEmulator(Behaviour(agent=uses_tools_and_leaves)) as other,
    ):
        settings = Settings(
            hostile=other.base_url,
            ends=str(ends),
            bad_part=part,
            bad_how=how,
            deadlines=Deadlines(media_return=1.0, last_word=1.0),
        )
        worker = await fleet.start(settings)
        async with neighbours(fleet, worker) as others, harmed(others, worker) as harm:
            victim = fleet.carrier.place(
                fleet.url_of(worker.port), Caller(FOREVER, fleet.carrier.format), to_number=OTHER_NUMBER
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(victim.run)
                if how == "block":
                    named = await named_after(worker)
                await until(
                    lambda: ends.exists() and ends.read_bytes() != b"", within=LEAVES_AFTER + bound(ENDS_WITHIN)
                )
        assert worker.process.returncode is None, worker.said
        (told, *_) = [msgspec.json.decode(line, type=Ending) for line in ends.read_bytes().splitlines()]
        worker.send(signal.SIGTERM)
        with anyio.fail_after(STOPS_WITHIN):
            await worker.process.wait()
    assert harm.lost == 0
    assert named <= bound(NAMED_WITHIN)
    if how != "block":
        assert harm.during.p99 <= bound(P99_BOUND_MS), str(harm)
    note(f"{part}: {how}, in a call beside 3", tried=3, lost=harm.lost, figure=f"{harm}; {told.reason}")
