"""Functions that may be plain or coroutine functions: what they give, and where they were when they took too long."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from patter_core.aio.functions import call_foreign, is_coroutine_function
from patter_core.aio.threads import DaemonThreads
from patter_core.errors import ForeignFault, ForeignHang

pytestmark = pytest.mark.anyio


async def double(number: int, *, extra: int = 0) -> int:
    await anyio.lowlevel.checkpoint()
    return 2 * number + extra


def triple(number: int, *, extra: int = 0) -> int:
    return 3 * number + extra


class Doubler:
    async def __call__(self, number: int, *, extra: int = 0) -> int:
        return await double(number, extra=extra)


@pytest.mark.parametrize(
    ("function", "is_coroutine", "result"),
    [
        (double, True, 9),
        (Doubler(), True, 9),
        (functools.partial(double, 5), True, 11),
        (triple, False, 13),
        (lambda number, extra: double(number, extra=extra), False, 9),
    ],
)
async def test_it_gives_what_the_function_gives(
    function: Callable[..., object], is_coroutine: bool, result: int
) -> None:
    assert is_coroutine_function(function) == is_coroutine
    arguments = () if isinstance(function, functools.partial) else (4,)
    assert await call_foreign(function, 5.0, DaemonThreads(1).run, *arguments, extra=1) == result


async def test_plain_functions_run_in_a_thread_and_others_do_not() -> None:
    async def here() -> int:
        return threading.get_ident()

    assert await call_foreign(threading.get_ident, None, DaemonThreads(1).run) != threading.get_ident()
    assert await call_foreign(here, None, DaemonThreads(1).run) == threading.get_ident()


async def test_what_a_plain_function_raises_is_an_exception() -> None:
    def leave() -> None:
        raise SystemExit

    with pytest.raises(ForeignFault, match="SystemExit"):
        await call_foreign(leave, None, DaemonThreads(1).run)
    with pytest.raises(ZeroDivisionError):
        await call_foreign(divmod, None, DaemonThreads(1).run, 1, 0)


async def test_one_that_takes_too_long_is_told_with_its_place_in_the_thread() -> None:
    gate, threads = threading.Event(), DaemonThreads(1)

    def hang_here() -> None:
        gate.wait(30)

    with pytest.raises(ForeignHang) as caught:
        await call_foreign(hang_here, 0.1, threads.run)
    assert "in hang_here" in "".join(caught.value.__notes__)
    gate.set()


async def test_one_whose_caller_is_cancelled_tells_its_place() -> None:
    notes: list[str] = []

    waits = anyio.Event()

    async def wait_here() -> None:
        waits.set()
        await anyio.sleep_forever()

    async def call() -> None:
        try:
            await call_foreign(wait_here, None, DaemonThreads(1).run)
        except anyio.get_cancelled_exc_class() as cancelled:
            notes.extend(cancelled.__notes__)
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await waits.wait()
        tasks.cancel_scope.cancel()
    assert "in wait_here" in "".join(notes)
