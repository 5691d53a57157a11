"""The user's callbacks and sinks raise, hang or block: the calls go on, and each end is told once, soon and truly."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import msgspec
import pytest

from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from tests.chaos.agents import Chatter
from tests.chaos.callers import Callers
from tests.chaos.fleet import EMULATORS, AnyCarrier, running_fleet
from tests.chaos.report import bound, note
from tests.chaos.worker import Ending, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

GAP_BOUND_MS = 800
CALLS = 10
TALK = 3.0
"""Seconds that each call lasts, more or less."""
TOLD_WITHIN = 5.0
"""What waits gets two seconds; the rest is for a machine that is busy."""

_SAID = {
    "raise": "LookupError: the user's own fault",
    "hang": "was cancelled after",
    "block": "was cancelled after",
    "cancel": "It raised CancelledError",
    "exit": "It raised SystemExit",
}
"""What the worker's log says of it."""


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("how", ["raise", "hang", "block", "cancel", "exit"])
async def test_calls_go_on_whatever_the_users_code_does(emulator: type[AnyCarrier], how: str, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    sinks = {"hang": "hang", "block": "hang"}.get(how, "raise")
    settings = Settings(ends=str(ends), callbacks=how, sinks=sinks, callback_patience=2.0)
    engine = ElevenLabsEmulator(Behaviour(agent=Chatter()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(settings)
        callers = Callers(fleet, CALLS)
        await callers.talk(tasks)
        since = callers.positions()
        await anyio.sleep(TALK)
        gap, lost = callers.longest_gap_ms(since), callers.lost
        lasted, over = sorted(call.stream.elapsed for call in callers.calls), time.time()
        for call in callers.calls:
            call.end()
        await until(
            lambda: ends.exists() and ends.read_bytes().count(b"\n") == CALLS, within=TOLD_WITHIN + 10, every=0.02
        )
        told = [msgspec.json.decode(line, type=Ending) for line in ends.read_bytes().splitlines()]
        late = max(end.at for end in told) - over
        await anyio.sleep(1)  # in which nothing more may be told
        assert ends.read_bytes().count(b"\n") == CALLS
        tasks.cancel_scope.cancel()
    assert lost == 0
    assert gap < bound(GAP_BOUND_MS)
    assert len({end.call_id for end in told}) == CALLS
    assert {end.reason for end in told} == {"caller_hung_up"}
    for end, seconds in zip(sorted(told, key=lambda end: end.duration_ms), lasted, strict=True):
        assert end.duration_ms / 1000 == pytest.approx(seconds, abs=1.0)
    assert late < TOLD_WITHIN
    assert _SAID[how] in worker.said
    note(
        f"callbacks and a sink that {how}, {CALLS} calls, {emulator.__name__}",
        tried=CALLS,
        lost=lost,
        figure=f"ends told within {late:.1f} s, longest gap {gap:.0f} ms",
    )
