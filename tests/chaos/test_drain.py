"""SIGTERM: not ready, no new calls, the live ones go on until a deadline, the last sentence is heard, exit code 0."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import Callers
from tests.chaos.fleet import CARRIERS, AnyCarrier, Fleet, Worker, running_fleet
from tests.chaos.report import bound, note
from tests.chaos.worker import Ending, Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

GAP_BOUND_MS = 400
"""A stall of the machine, which two cores share with others, beyond what is sent ahead."""


class _Health(msgspec.Struct):
    ready: bool
    calls: int


async def health(worker: Worker) -> tuple[int, _Health]:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://127.0.0.1:{worker.port}/health/ready")
    return response.status_code, msgspec.json.decode(response.content, type=_Health)


async def refused_there_and_taken_elsewhere(fleet: Fleet, draining: Worker, other: Worker) -> int:
    """Place calls whose webhook comes to the draining worker first; gives how many were taken by the other."""
    fleet.forget(draining)
    callers = Callers(fleet, 4, url=fleet.url_of(draining.port))
    async with anyio.create_task_group() as tasks:
        await callers.talk(tasks)
        assert (await health(other))[1].calls == 4
        tasks.cancel_scope.cancel()
    return 4


@pytest.mark.quick
@pytest.mark.parametrize("emulator", CARRIERS)
async def test_a_worker_that_is_told_to_stop_lets_its_calls_finish(emulator: type[AnyCarrier], tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(emulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(drain=3.0, ends=str(ends), several_workers=True))
        callers = Callers(fleet, 6)
        await callers.talk(tasks)
        since = callers.positions()
        other = await fleet.start(Settings(several_workers=True))
        began = anyio.current_time()
        worker.send(signal.SIGTERM)
        await until(lambda: worker.process.returncode is not None or anyio.current_time() > began + 0.2)
        status, figures = await health(worker)
        assert (status, figures.ready, figures.calls) == (503, False, 6)
        elsewhere = await refused_there_and_taken_elsewhere(fleet, worker, other)
        with anyio.fail_after(15):
            code = await worker.process.wait()
        took = anyio.current_time() - began
        for call in callers.calls:
            await call.over.wait()
        gap = callers.longest_gap_ms(since)
        tasks.cancel_scope.cancel()
    told = [msgspec.json.decode(line, type=Ending) for line in ends.read_bytes().splitlines()]
    assert code == 0, worker.said
    assert took >= 3.0  # nobody was cut before the deadline
    assert gap < bound(GAP_BOUND_MS)
    assert [end.reason for end in told] == ["host_hung_up"] * 6
    assert len({end.call_id for end in told}) == 6
    for call in callers.calls:  # what was said before the hang-up was heard: nothing is left in the carrier's buffer
        assert not call.stream._buffer.duration_ms
    note(
        f"SIGTERM, 6 live calls and {elsewhere} new ones, {emulator.__name__}",
        tried=6 + elsewhere,
        lost=0,
        figure=f"exit code {code} after {took:.1f} s, longest gap {gap:.0f} ms",
    )


@pytest.mark.parametrize("live", [0, 2])
async def test_calls_that_ring_while_the_only_worker_stops_are_taken_by_the_next_one(live: int, tmp_path: Path) -> None:
    """A restart on one machine, or a rollout that its balancer does not know of yet. The number has no fallback URL.

    With Twilio, which asks as often as it is told to. How long others repeat a webhook is for them to say.
    """
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        old = await fleet.start(Settings(drain=1.0, linger=8.0, several_workers=True))
        before = Callers(fleet, live)
        await before.talk(tasks)
        old.send(signal.SIGTERM)
        await until(lambda: "s to finish" in old.said or not live)
        await anyio.sleep(0.2)
        ringing = Callers(fleet, 4, fallback=False)
        ringing.start(tasks)
        await anyio.sleep(0.5)
        assert ringing.lost == 0
        await fleet.start(Settings(several_workers=True))
        fleet.forget(old)
        took = await ringing.all_hear_more([0] * 4, within=15)
        lost = ringing.lost
        tasks.cancel_scope.cancel()
    assert lost == 0
    note(
        f"calls that ring while the only worker stops with {live} live ones, Twilio",
        tried=4,
        lost=lost,
        figure=f"heard {took:.1f} s after the next one was there",
    )
