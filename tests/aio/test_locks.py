"""One name is used by one task at a time, different names at once, and none is kept."""

from __future__ import annotations

import anyio
import pytest

from patter_core.aio.locks import KeyedLocks

pytestmark = pytest.mark.anyio


async def test_the_same_name_waits_and_another_does_not() -> None:
    locks, told = KeyedLocks(), list[str]()
    go_on = anyio.Event()

    async def use(name: str, label: str) -> None:
        async with locks.hold(name):
            told.append(label)
            await go_on.wait()

    async with anyio.create_task_group() as tasks:
        for name, label in (("a", "first"), ("a", "second"), ("b", "other")):
            tasks.start_soon(use, name, label)
        await anyio.wait_all_tasks_blocked()
        assert told == ["first", "other"]
        go_on.set()
    assert told == ["first", "other", "second"]
    assert len(locks) == 0


async def test_one_that_fails_or_is_cancelled_lets_the_next_one_in() -> None:
    locks = KeyedLocks()
    with pytest.raises(LookupError):
        async with locks.hold("a"):
            raise LookupError
    async with locks.hold("a"), anyio.create_task_group() as tasks:

        async def wait_in_vain() -> None:
            async with locks.hold("a"):
                raise AssertionError

        tasks.start_soon(wait_in_vain)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(5):
        async with locks.hold("a"):
            pass
    assert len(locks) == 0
