"""Sinks and stores that fail for good: calls hear nothing, the others get every record, and the log stays short."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_core.events import CallAnnounced, CallEnded, Record
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import Chatter
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, running_fleet
from tests.chaos.report import bound, note
from tests.chaos.worker import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

CALLS = 8
TALK = 8.0
"""Seconds, in which each call says 20 lines a second."""
LONGEST_LOG = 60
"""Lines: what is told of three sinks and a store, with a traceback or two."""
STOPPED_WITHIN = 15.0
GAP_BOUND_MS = 800


@pytest.mark.parametrize("emulator", EMULATORS)
async def test_sinks_and_a_store_that_fail_for_good_cost_no_call_and_no_other_sinks_record(
    emulator: type[AnyCarrier], tmp_path: Path
) -> None:
    records = tmp_path / "records"
    records.mkdir()
    engine = ElevenLabsEmulator(Behaviour(agent=Chatter()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(failing=str(records), drain=0.1))
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks)
        since = callers.positions()
        await anyio.sleep(TALK)
        gap, lost = callers.longest_gap_ms(since), callers.lost
        for call in callers.calls:
            call.end()
        await anyio.sleep(1)
        began = anyio.current_time()
        worker.send(signal.SIGTERM)
        with anyio.fail_after(STOPPED_WITHIN):
            code = await worker.process.wait()
        took = anyio.current_time() - began
        await worker.listened.wait()
        tasks.cancel_scope.cancel()
    lines = (records / "good.jsonl").read_bytes().splitlines()
    kinds = Counter(type(msgspec.json.decode(line, type=Record).event) for line in lines)
    assert lost == 0
    assert gap < bound(GAP_BOUND_MS)
    assert code == 0
    assert (kinds[CallAnnounced], kinds[CallEnded]) == (CALLS, CALLS)
    assert len(lines) > CALLS * TALK * 15  # what was said
    assert len(worker.said.splitlines()) < LONGEST_LOG, worker.said
    note(
        f"three sinks and a store that fail for good, {CALLS} calls, {emulator.__name__}",
        tried=CALLS,
        lost=lost,
        figure=f"longest gap {gap:.0f} ms, {len(worker.said.splitlines())} lines of log, stopped in {took:.1f} s",
    )
