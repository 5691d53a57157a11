"""A blocked event loop is told, with the place: where, for how long, and not too often."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core.agent import Agent
from patter_core.call.config import HostConfig
from patter_core.server.host import CallHost
from patter_core.server.watchdog import LoopWatchdog
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine
from tests.polling import until

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def watching(live: int) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LoopWatchdog(lambda: live).run)
        await anyio.sleep(0.15)
        yield
        await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()


def block_here(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_block_is_told_with_its_length_and_its_place(caplog: pytest.LogCaptureFixture) -> None:
    async with watching(live=3):
        block_here(0.6)
    (record,) = (record for record in caplog.records if "block_here" in record.message)
    assert record.levelname == "WARNING"
    assert "with 3 calls live" in record.message
    assert "in block_here" in record.message
    assert 0.6 <= float(record.message.split(" for ")[1].split(" s,")[0]) < 5


class Thing:
    """What a function that blocks works on."""


def block_with(_thing: Thing) -> None:
    time.sleep(0.6)


async def test_what_the_blocking_function_worked_on_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    thing = Thing()
    kept = weakref.ref(thing)
    async with watching(live=1):
        block_with(thing)
        del thing
        await until(lambda: "in block_with" in caplog.text)
        gc.collect()
        assert kept() is None


async def test_nothing_is_told_without_a_block_or_without_live_calls(caplog: pytest.LogCaptureFixture) -> None:
    async with watching(live=0):
        block_here(0.6)
    async with watching(live=1):
        await anyio.sleep(0.3)
    assert [record for record in caplog.records if "block_here" in record.message] == []


async def test_further_blocks_are_told_together_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0

    def clock() -> float:
        return time.monotonic() + now

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LoopWatchdog(lambda: 1, clock).run)
        for seconds in (0.4, 0.7, 0.5):
            await anyio.sleep(0.1)
            block_here(seconds)
        await anyio.sleep(0.1)
        told = len(caplog.records)
        now = 11.0  # by which the loop seems to have been blocked, too
        await anyio.sleep(0.2)
        tasks.cancel_scope.cancel()
    assert told == 1
    assert "It was 2 more times since the last report, for up to 0.7" in caplog.records[-1].message


async def test_its_thread_ends_with_it() -> None:
    async with watching(live=1):
        assert "patter watchdog" in {thread.name for thread in threading.enumerate()}
    await until(lambda: "patter watchdog" not in {thread.name for thread in threading.enumerate()})


async def test_a_worker_with_a_live_call_is_watched(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(engine=FakeEngine())

    async def route(_leg: Leg) -> Agent:
        return agent

    host = CallHost(FakeCarrier(), config=HostConfig(), route=route, find_agent=lambda _name: agent)
    async with host.running():
        await host.routers["fake"].call(Leg(carrier="fake", call_id="leg-1"), "https://a/webhooks/fake/voice").arrived()
        await anyio.sleep(1.0)  # in which it notices the call
        block_here(0.6)
        await anyio.sleep(0.1)
        for call in host.table.calls:
            call.hang_up()
    assert "in block_here" in caplog.text
