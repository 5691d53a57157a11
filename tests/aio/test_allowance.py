"""A time that runs, except while it is paused."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from patter_core.aio.allowance import Allowance, not_counted
from patter_core.aio.foreign import run_foreign
from patter_core.errors import ForeignHang

pytestmark = pytest.mark.anyio


@not_counted
async def verb(seconds: float) -> str:
    await anyio.sleep(seconds)
    return "done"


async def allowed(seconds: float, *steps: tuple[str, float]) -> str:
    async def foreign() -> str:
        for kind, length in steps:
            await (verb(length) if kind == "ours" else anyio.sleep(length))
        return "done"

    allowance = Allowance(seconds)
    try:
        with allowance.of_this_task():
            return await run_foreign(foreign, allowance)
    finally:
        allowance.close()


async def test_what_waits_for_us_may_take_longer() -> None:
    with anyio.fail_after(20):
        assert await allowed(0.5, ("ours", 1.0), ("own", 0.05), ("ours", 0.7)) == "done"


@pytest.mark.parametrize("steps", [[("own", 30.0)], [("ours", 0.2), ("own", 30.0)], [("own", 0.2), ("own", 30.0)]])
async def test_its_own_time_is_counted_before_and_after(steps: list[tuple[str, float]]) -> None:
    with anyio.fail_after(10), pytest.raises(ForeignHang, match=r"within 0\.3 s"):
        await allowed(0.3, *steps)


async def test_several_that_wait_at_once_pause_it_until_the_last_one() -> None:
    async def foreign() -> list[str]:
        return list(await asyncio.gather(verb(0.05), verb(0.6)))

    allowance = Allowance(0.3)
    with anyio.fail_after(10), allowance.of_this_task():
        assert await run_foreign(foreign, allowance) == ["done", "done"]
    allowance.close()


async def test_a_verb_that_is_cancelled_lets_it_run_again() -> None:
    async def foreign() -> None:
        with anyio.move_on_after(0.1):
            await verb(30)
        await anyio.sleep(30)

    allowance = Allowance(0.3)
    with anyio.fail_after(10), allowance.of_this_task(), pytest.raises(ForeignHang):
        await run_foreign(foreign, allowance)
    allowance.close()


async def test_outside_of_foreign_code_a_verb_is_as_it_is() -> None:
    assert await verb(0) == "done"
    assert verb.__name__ == "verb"
