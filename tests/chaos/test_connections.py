"""Descriptors: idle strangers, and more calls than fit. Live calls hear nothing of it, on either event loop."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import Callers
from tests.chaos.crowd import QuietCaller
from tests.chaos.fleet import running_fleet
from tests.chaos.report import bound, note
from tests.chaos.round_trips import parrot
from tests.chaos.worker import Settings
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

GAP_BOUND_MS = 400
HEARD_WITHIN = 3.0
"""Seconds in which a caller who says something each second hears it again."""
LOOPS = pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def strangers(port: int, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Connections that say nothing."""
    here = []
    for number in range(count):
        here.append(stack.enter_context(socket.socket()))
        here[-1].setblocking(False)
        here[-1].connect_ex(("127.0.0.1", port))
        if number % 50 == 0:
            await anyio.sleep(0.01)
    return here


@LOOPS
@pytest.mark.parametrize("limit", [1024, 256])
async def test_strangers_who_say_nothing_keep_no_call_away(*, uvloop: bool, limit: int, tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(uvloop=uvloop, descriptors=limit))
        live = Callers(fleet, 5)
        await live.talk(tasks)
        since = live.positions()
        with contextlib.ExitStack() as stack:
            await strangers(worker.port, 1100, stack)
            fresh = Callers(fleet, 5)
            took = await fresh.talk(tasks)
            held = (await worker.holdings()).descriptors
            await anyio.sleep(2)
            gap = live.longest_gap_ms(since)
        lost = live.lost + fresh.lost
        tasks.cancel_scope.cancel()
    assert lost == 0, worker.said
    assert gap < bound(GAP_BOUND_MS)
    assert len(worker.said) < 10_000
    note(
        f"1100 idle strangers, ulimit -n {limit}, {'uvloop' if uvloop else 'asyncio'}",
        tried=10,
        lost=lost,
        figure=f"new calls heard after {took:.1f} s, longest gap {gap:.0f} ms, {held} descriptors",
    )


@LOOPS
async def test_of_more_calls_than_fit_those_that_are_taken_live(*, uvloop: bool, tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        worker = await fleet.start(Settings(uvloop=uvloop, descriptors=160))
        callers = Callers(fleet, 70, fallback=False)
        for call in callers.calls:
            tasks.start_soon(call.run)
            await anyio.sleep(0.03)
        await until(lambda: sum(call.is_over for call in callers.calls) >= 20, within=20)
        await anyio.sleep(1)
        taken = [call for call in callers.calls if call.streams]
        before = [len(call.recording.played) for call in taken]
        await anyio.sleep(2)
        lost = sum(
            call.is_over or len(call.recording.played) <= heard for call, heard in zip(taken, before, strict=True)
        )
        held = (await worker.holdings()).descriptors
        tasks.cancel_scope.cancel()
    assert len(taken) == 50  # as room_in(160) says
    assert lost == 0, worker.said
    assert "out of system resource" not in worker.said
    note(
        f"70 calls at ulimit -n 160, {'uvloop' if uvloop else 'asyncio'}",
        tried=len(taken),
        lost=lost,
        figure=f"{70 - len(taken)} told busy, {held} descriptors",
    )


@LOOPS
async def test_five_hundred_calls_fit_into_the_usual_soft_limit(*, uvloop: bool, tmp_path: Path) -> None:
    """1,024, as most systems set it: the worker raises it, as far as the hard limit allows."""
    engine = ElevenLabsEmulator(Behaviour(agent=parrot))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        assert isinstance(fleet.carrier, TwilioEmulator)
        worker = await fleet.start(Settings(uvloop=uvloop, descriptors=1024, soft_limit=True))
        callers = [QuietCaller(fleet.carrier, fleet.url_of(worker.port)) for _ in range(500)]
        for caller in callers:
            tasks.start_soon(caller.run)
            await anyio.sleep(0.03)
        await until(lambda: all(caller.heard_at > 0 or caller.ended for caller in callers), within=30, every=0.1)
        await anyio.sleep(5)
        said, now = worker.said, anyio.current_time()
        accepted = [caller for caller in callers if caller.accepted]
        lost = sum(caller.ended or now - caller.heard_at > HEARD_WITHIN for caller in accepted)
        held = (await worker.holdings()).descriptors
        tasks.cancel_scope.cancel()
    assert (len(accepted), lost) == (500, 0), worker.said[-2_000:]
    assert held > 1_000
    assert "resource" not in said
    note(
        f"500 calls at ulimit -n 1024 (soft), {'uvloop' if uvloop else 'asyncio'}",
        tried=len(accepted),
        lost=lost,
        figure=f"{held} descriptors",
    )
