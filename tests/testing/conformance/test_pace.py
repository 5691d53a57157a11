"""How long a method holds the event loop is measured, and nothing else."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from patter_core.errors import ConformanceError
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.pace import Pace

pytestmark = pytest.mark.anyio


def calculate(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture
def pace() -> Pace:
    return Pace(Check("carrier"))


@pytest.mark.parametrize("hold", [time.sleep, calculate])
def test_a_method_that_is_slow_again_and_again_is_told(pace: Pace, hold: Callable[[float], None]) -> None:
    told: list[int] = []
    pace.on_slow = lambda: told.append(1)
    for _ in range(2):
        pace.timed("decode()", hold, 0.05)
    pace.require_quick()
    pace.timed("decode()", hold, 0.05)
    with pytest.raises(ConformanceError, match=r"decode\(\) holds the event loop"):
        pace.require_quick()
    pace.timed("decode()", hold, 0.05)
    assert told == [1]


def test_a_method_that_is_very_slow_once_is_told(pace: Pace) -> None:
    pace.timed("encode_mark()", time.sleep, 0.3)
    with pytest.raises(ConformanceError, match=r"encode_mark\(\) holds the event loop"):
        pace.require_quick()


def test_methods_are_told_apart(pace: Pace) -> None:
    for name in ("one()", "two()", "three()"):
        for _ in range(2):
            pace.timed(name, time.sleep, 0.05)
    pace.require_quick()


async def test_what_is_awaited_is_no_time_of_the_method(pace: Pace) -> None:
    async def wait() -> int:
        for _ in range(4):
            await anyio.sleep(0.05)
        return 5

    assert await pace.stepwise("hang_up()", wait()) == 5
    pace.require_quick()


async def test_what_is_done_between_two_waits_is(pace: Pace) -> None:
    async def work() -> None:
        for _ in range(3):
            time.sleep(0.05)  # noqa: ASYNC251 - the mistake
            await anyio.lowlevel.checkpoint()

    await pace.stepwise("hang_up()", work())
    with pytest.raises(ConformanceError, match=r"hang_up\(\) holds the event loop"):
        pace.require_quick()


async def test_what_it_raises_and_that_it_is_cancelled_pass_through(pace: Pace) -> None:
    seen: list[str] = []

    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise KeyError("what")

    async def wait() -> None:
        try:
            await anyio.sleep(60)
        except anyio.get_cancelled_exc_class():
            seen.append("cancelled")
            raise

    with pytest.raises(KeyError, match="what"):
        await pace.stepwise("fail()", fail())
    with anyio.move_on_after(0.01) as scope:
        await pace.stepwise("wait()", wait())
    assert (scope.cancelled_caught, seen) == (True, ["cancelled"])
    pace.require_quick()


def test_garbage_that_is_collected_meanwhile_is_no_time_of_the_method(pace: Pace) -> None:
    kept = [[number] for number in range(2_000_000)]  # a collection looks at each
    began = time.perf_counter()
    pace.timed("decode", gc.collect)
    took = time.perf_counter() - began
    for _ in range(3):
        pace.timed("decode", gc.collect)
    assert took > 0.02
    assert len(kept) == 2_000_000
    pace.require_quick()
