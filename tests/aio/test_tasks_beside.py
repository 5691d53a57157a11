from __future__ import annotations

from collections.abc import Callable, Coroutine

import anyio
import pytest

from patter_core.aio.tasks_beside import tasks_beside

pytestmark = pytest.mark.anyio


async def test_tasks_run_until_the_block_is_over() -> None:
    ended: list[str] = []

    async def run() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("run")

    began = anyio.Event()
    with anyio.fail_after(5):
        async with tasks_beside() as tasks:
            tasks.start_soon(run)
            await began.wait()
            assert ended == []
    assert ended == ["run"]


async def beside(
    run: Callable[[], Coroutine[object, object, None]], block: Callable[[], Coroutine[object, object, None]]
) -> None:
    with anyio.fail_after(5):
        async with tasks_beside() as tasks:
            tasks.start_soon(run)
            await block()


async def fail() -> None:
    raise KeyError("it")


async def test_what_the_block_raises_is_in_no_group() -> None:
    with pytest.raises(KeyError, match="it"):
        await beside(anyio.sleep_forever, fail)


async def test_what_a_task_raises_ends_the_block() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await beside(fail, anyio.sleep_forever)
    assert caught.group_contains(KeyError, match="it")
