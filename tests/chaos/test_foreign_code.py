"""Parts of other people's making raise anything, hang or exit: live calls hear nothing, and each end is told once."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.call.timeouts import Deadlines
from patter_core.testing.caller import Caller
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import uses_tools_and_leaves
from tests.chaos.callers import FOREVER
from tests.chaos.fleet import EMULATORS, AnyCall, AnyCarrier, running_fleet
from tests.chaos.foreign import PARTS
from tests.chaos.report import note
from tests.chaos.round_trips import harmed, neighbours, parrot
from tests.chaos.worker import OTHER_NUMBER, Ending, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

CALLS = 8
"""Twice each way."""
P99_BOUND_MS = 100
"""Eight calls begin and end meanwhile, in the process that measures, too."""


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("how", ["any", "hang"])
@pytest.mark.parametrize("part", PARTS)
async def test_whatever_a_part_does_live_calls_hear_nothing_of_it(
    emulator: type[AnyCarrier], part: str, how: str, tmp_path: Path
) -> None:
    ends = tmp_path / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=parrot))
    async with (
        running_fleet(emulator, engine, tmp_path) as fleet,
        ElevenLabsEmulator(Behaviour(agent=uses_tools_and_leaves)) as other,
    ):
        worker = await fleet.start(
            Settings(
                hostile=other.base_url,
                ends=str(ends),
                bad_part=part,
                bad_how=how,
                deadlines=Deadlines(media_return=1.0),
            )
        )
        async with neighbours(fleet, worker) as others, harmed(others, worker) as harm:
            calls: list[AnyCall] = []
            async with anyio.create_task_group() as tasks:
                for _ in range(CALLS):
                    calls.append(
                        fleet.carrier.place(
                            fleet.url_of(worker.port), Caller(FOREVER, fleet.carrier.format), to_number=OTHER_NUMBER
                        )
                    )
                    tasks.start_soon(calls[-1].run)
                await until(lambda: ends.exists() and ends.read_bytes().count(b"\n") >= CALLS, within=20)
                await anyio.sleep(1)  # in which nothing more may be told
                for call in calls:  # those that a carrier's plugin did not hang up
                    call.end()
        assert worker.process.returncode is None, worker.said
        told = [msgspec.json.decode(line, type=Ending) for line in ends.read_bytes().splitlines()]
    assert harm.lost == 0
    assert harm.during.p99 < P99_BOUND_MS, str(harm)
    first = told[:CALLS]
    assert len({end.call_id for end in first}) == len(first) == CALLS
    note(
        f"{part}: {how}, {CALLS} calls and 3 more, {emulator.__name__}",
        tried=3,
        lost=harm.lost,
        figure=f"{harm}; {sorted({end.reason for end in first})}",
    )
