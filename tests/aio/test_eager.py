"""A coroutine is begun without a task, and its rest is awaited by another one as if nothing had happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator

import anyio
import pytest

from patter_core.aio.eager import start_now

pytestmark = pytest.mark.anyio


class Step:
    """A coroutine that waits once, and what became of it."""

    def __init__(self) -> None:
        self.gate = asyncio.get_running_loop().create_future()
        self.log: list[str] = []

    async def run(self) -> str:
        try:
            self.log.append(f"got {await self.gate}")
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        finally:
            self.log.append("cleaned up")
        return "dropped"


async def awaits(rest: Awaitable[None] | None) -> None:
    assert rest is not None
    await rest


async def test_what_does_not_wait_is_done_at_once() -> None:
    done: list[str] = []

    async def act() -> str:
        done.append("done")
        return "dropped"

    assert start_now(act()) is None
    assert done == ["done"]


async def test_what_is_raised_before_it_waits_is_raised_by_the_start() -> None:
    async def act() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        start_now(act())


async def test_what_waits_goes_on_in_the_task_that_awaits_the_rest() -> None:
    step = Step()
    rest = start_now(step.run())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(awaits, rest)
        await anyio.wait_all_tasks_blocked()
        assert step.log == []
        step.gate.set_result("it")
    assert step.log == ["got it", "cleaned up"]


async def test_what_it_waited_for_may_be_there_before_the_rest_is_awaited() -> None:
    step = Step()
    rest = start_now(step.run())
    step.gate.set_result("it")
    await awaits(rest)
    assert step.log == ["got it", "cleaned up"]


async def test_it_may_wait_often_and_also_for_nothing_but_its_turn() -> None:
    log: list[int] = []

    async def act() -> None:
        for number in range(3):
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            log.append(number)

    await awaits(start_now(act()))
    assert log == [0, 1, 2]


async def test_what_is_raised_after_it_waited_is_raised_where_the_rest_is_awaited() -> None:
    step = Step()
    rest = start_now(step.run())
    step.gate.set_exception(ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        await awaits(rest)
    assert step.log == ["ConnectionResetError", "cleaned up"]


async def test_a_cancelled_task_cancels_what_it_awaits_and_that_cleans_up() -> None:
    step = Step()
    task = asyncio.create_task(awaits(start_now(step.run())))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert step.log == ["CancelledError", "cleaned up"]
    assert step.gate.cancelled()


async def test_a_scope_that_is_cancelled_before_the_rest_is_awaited_cancels_it() -> None:
    step = Step()
    rest = start_now(step.run())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await awaits(rest)
    assert scope.cancelled_caught
    assert step.log == ["CancelledError", "cleaned up"]


async def test_a_timeout_inside_belongs_to_the_task_that_awaits_the_rest() -> None:
    async def act() -> None:
        await asyncio.sleep(0)  # from here on, in that task
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        log.append(scope.cancelled_caught)

    log: list[bool] = []
    await awaits(start_now(act()))
    assert log == [True]


async def test_a_rest_that_is_never_awaited_cleans_up_when_it_is_dropped() -> None:
    step = Step()
    rest = start_now(step.run())
    assert rest is not None
    del rest
    assert step.log == ["GeneratorExit", "cleaned up"]


async def test_a_rest_that_is_closed_while_it_is_awaited_closes_what_it_awaits() -> None:
    step = Step()
    awaiting = awaits(start_now(step.run()))
    assert awaiting.send(None) is step.gate
    awaiting.close()
    assert step.log == ["GeneratorExit", "cleaned up"]


@pytest.mark.parametrize("is_done", [True, False])
async def test_what_is_no_coroutine_is_awaited_like_one(is_done: bool) -> None:
    future = asyncio.get_running_loop().create_future()

    class Servers:
        """As a server may return it: an awaitable, whose iterator can do nothing but go on."""

        def __await__(self) -> Iterator[object]:
            return self

        def __iter__(self) -> Iterator[object]:
            return self

        def __next__(self) -> object:
            if future.done():
                raise StopIteration
            return next(future.__await__())

    if is_done:
        future.set_result(None)
    rest = start_now(Servers())  # type: ignore[arg-type] # as above
    assert (rest is None) is is_done
    if rest is not None:
        asyncio.get_running_loop().call_later(0.01, future.set_result, None)
        await rest
