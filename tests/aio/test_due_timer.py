"""A timer that goes off at the earliest time that it was set to."""

from __future__ import annotations

import anyio
import pytest

from patter_core.aio.due_timer import DueTimer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("times", [(0.05,), (5.0, 0.05), (0.05, 5.0)])
async def test_it_goes_off_once_at_the_earliest_time(times: tuple[float, ...]) -> None:
    gone = anyio.Event()
    count = 0

    def go_off() -> None:
        nonlocal count
        count += 1
        gone.set()

    timer = DueTimer(go_off)
    began = anyio.current_time()
    for seconds in times:
        timer.set(began + seconds, began)
    with anyio.fail_after(3):
        await gone.wait()
    assert anyio.current_time() - began >= 0.04
    await anyio.sleep(0.05)
    assert count == 1


async def test_it_can_be_set_again_cancelled_and_never() -> None:
    times: list[int] = []
    timer = DueTimer(lambda: times.append(1))
    timer.cancel()
    timer.set(float("inf"), 0)
    timer.set(-1, 0)
    await anyio.sleep(0.01)
    timer.set(0.01, 0)
    timer.cancel()
    await anyio.sleep(0.05)
    assert len(times) == 1
    timer.set(0, 0)
    await anyio.sleep(0.01)
    assert len(times) == 2
