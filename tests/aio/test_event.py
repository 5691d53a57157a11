"""An event: who waits for it is woken, and it holds no queue before."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc

import anyio
import pytest

from patter_core.aio.event import Event

pytestmark = pytest.mark.anyio


async def test_all_that_wait_are_woken_and_who_comes_later_does_not_wait() -> None:
    event, woken = Event(), list[int]()

    async def wait(number: int) -> None:
        await event.wait()
        woken.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        assert not event.is_set()
        event.set()
    assert sorted(woken) == [0, 1, 2]
    assert event.is_set()
    with anyio.fail_after(1):
        await event.wait()


async def test_those_who_waited_are_woken_though_it_is_cleared_at_once_and_the_next_wait() -> None:
    event = Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(event.wait)
        await anyio.wait_all_tasks_blocked()
        event.set()
        event.clear()
    with anyio.move_on_after(0.01) as scope:
        await event.wait()
    assert scope.cancelled_caught


async def test_one_that_is_cancelled_leaves_the_others_waiting() -> None:
    event = Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(event.wait)
        with anyio.move_on_after(0.01):
            await event.wait()
        event.set()


async def test_one_that_is_cancelled_in_the_moment_of_setting_is_not_in_the_way() -> None:
    event = Event()
    async with anyio.create_task_group() as tasks:
        cancelled = asyncio.ensure_future(event.wait())
        tasks.start_soon(event.wait)
        await anyio.wait_all_tasks_blocked()
        cancelled.cancel()
        event.set()
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_it_holds_no_queue_while_one_waits() -> None:
    events = [Event() for _ in range(100)]
    tracemalloc.start()
    try:
        waiting = [event.wait() for event in events]
        for one in waiting:
            one.send(None)
        held = tracemalloc.get_traced_memory()[0] / len(events)
    finally:
        tracemalloc.stop()
    for one in waiting:
        one.close()
    assert held <= 600


def test_it_is_small_as_long_as_nobody_waits() -> None:
    event = Event()
    event.set()
    assert sys.getsizeof(event) <= 56
    assert not hasattr(event, "__dict__")
