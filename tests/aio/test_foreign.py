from __future__ import annotations

import asyncio
import signal

import anyio
import pytest

from patter_core.aio.foreign import as_exception, run_foreign, settle
from patter_core.errors import ForeignFault, ForeignHang

pytestmark = pytest.mark.anyio


async def a_cancelled_task_of_its_own() -> None:
    task = asyncio.create_task(asyncio.sleep(10))
    task.cancel()
    await task


async def test_what_it_returns_and_raises_comes_through() -> None:
    async def double(number: int) -> int:
        if not number:
            raise KeyError(number)
        return 2 * number

    assert await run_foreign(double, None, 2) == 4
    with pytest.raises(KeyError):
        await run_foreign(double, 1.0, 0)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("own")])
async def test_what_is_no_exception_becomes_one(error: BaseException) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(ForeignFault, match=type(error).__name__) as fault:
        await run_foreign(fail, None)
    assert fault.value.__cause__ is error


async def test_a_cancellation_without_a_request_is_a_fault_and_cancels_no_neighbour() -> None:
    neighbour_ended = False
    async with anyio.create_task_group() as tasks:

        async def neighbour() -> None:
            nonlocal neighbour_ended
            await anyio.sleep(0.05)
            neighbour_ended = True

        async def caller() -> None:
            with pytest.raises(ForeignFault, match="without being cancelled"):
                await run_foreign(a_cancelled_task_of_its_own, None)

        tasks.start_soon(neighbour)
        tasks.start_soon(caller)
    assert neighbour_ended


async def test_one_that_hangs_is_cancelled_and_the_error_tells_where_it_was() -> None:
    cleaned_up = anyio.Event()

    async def hang_here() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned_up.set()

    async def hang() -> None:
        await hang_here()

    with pytest.raises(ForeignHang) as caught:
        await run_foreign(hang, 0.01)
    (note,) = caught.value.__notes__
    assert note.index("in hang\n") < note.index("in hang_here\n") < note.index("sleep_forever")
    assert await settle(5.0) == 0
    assert cleaned_up.is_set()


async def test_one_that_ignores_its_cancellation_is_left_behind() -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(ForeignHang):
        await run_foreign(stubborn, 0.01)
    assert await settle(0.01) == 1
    release.set()
    assert await settle(5.0) == 0


@pytest.mark.parametrize("how", ["anyio", "asyncio"])
async def test_a_caller_who_is_cancelled_cancels_it_and_does_not_wait(how: str) -> None:
    began, release, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> None:
        began.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.set()
            await release.wait()

    if how == "anyio":
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_foreign, slow_to_end, None)
            await began.wait()
            tasks.cancel_scope.cancel()
    else:
        caller = asyncio.create_task(run_foreign(slow_to_end, None))
        await began.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    await asyncio.wait_for(cancelled.wait(), 5)
    release.set()
    assert await settle(5.0) == 0


async def test_as_exception_tells_our_own_cancellation_from_a_foreign_one() -> None:
    async def call_foreign_code_in_place() -> Exception:
        try:
            await a_cancelled_task_of_its_own()
        except BaseException as error:  # noqa: BLE001 - as the callers of foreign code do
            return as_exception(error)
        raise AssertionError

    assert isinstance(await call_foreign_code_in_place(), ForeignFault)

    async def wait_in_place() -> None:
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            raise as_exception(error) from error

    with anyio.move_on_after(0.01) as scope:
        await wait_in_place()
    assert scope.cancelled_caught


def test_as_exception_keeps_exceptions_and_works_outside_of_tasks() -> None:
    error = ValueError()
    assert as_exception(error) is error
    assert isinstance(as_exception(SystemExit()), ForeignFault)
    assert isinstance(as_exception(asyncio.CancelledError()), ForeignFault)


def test_a_keyboard_interrupt_is_the_users_if_nothing_else_handles_sigint() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt):
            as_exception(KeyboardInterrupt())
        signal.signal(signal.SIGINT, lambda *_: None)
        assert isinstance(as_exception(KeyboardInterrupt()), ForeignFault)
    finally:
        signal.signal(signal.SIGINT, before)
