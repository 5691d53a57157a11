from __future__ import annotations

import asyncio
import contextlib

import anyio
import pytest

from patter_core.aio.one_at_a_time import OneAtATime
from patter_core.errors import ForeignHang

pytestmark = pytest.mark.anyio


class Stubborn:
    """A function that goes on although it is cancelled, until it is released."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.has_ended = False

    async def __call__(self) -> None:
        while not self.release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.release.wait()
        self.has_ended = True


async def test_one_begins_once_the_one_before_has_ended_even_if_that_was_left_behind() -> None:
    functions, stubborn = OneAtATime(), Stubborn()
    had_ended: list[bool] = []

    async def second() -> None:
        had_ended.append(stubborn.has_ended)

    with anyio.fail_after(10):
        with pytest.raises(ForeignHang):
            await functions.run(stubborn, 0.05)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(functions.run, second, None)
            await anyio.wait_all_tasks_blocked()
            stubborn.release.set()
    assert had_ended == [True]


async def test_the_time_for_the_one_before_counts() -> None:
    functions, stubborn = OneAtATime(), Stubborn()
    with anyio.fail_after(10):
        for _ in range(2):
            with pytest.raises(ForeignHang):
                await functions.run(stubborn, 0.05)
        stubborn.release.set()
        await functions.wait()
    assert stubborn.has_ended
