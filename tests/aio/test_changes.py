"""Tasks wait for a condition, and each notification lets them look again."""

from __future__ import annotations

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.aio import Changes


class Counter:
    """A number that only grows, and the tasks that wait for it."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self.value = 0
        self.reached: list[int] = []
        self.waiting: dict[int, anyio.CancelScope] = {}
        self._tasks = tasks
        self._changes = Changes()
        self._started = 0

    def wait_for(self, value: int) -> None:
        number, self._started = self._started, self._started + 1
        scope = self.waiting[number] = anyio.CancelScope()
        self._tasks.start_soon(self._wait, number, value, scope)

    def grow(self) -> None:
        self.value += 1
        self._changes.notify()

    async def _wait(self, number: int, value: int, scope: anyio.CancelScope) -> None:
        with scope:
            await self._changes.wait_until(lambda: self.value >= value)
            assert self.value >= value
            self.reached.append(number)
        del self.waiting[number]


_STEPS = st.lists(
    st.tuples(st.just("wait"), st.integers(0, 6))
    | st.tuples(st.just("grow"), st.just(0))
    | st.tuples(st.just("cancel"), st.integers(0, 6))
    | st.tuples(st.just("run"), st.just(0)),
    max_size=30,
)


async def settle() -> None:
    """Let every task run until it waits, cancellation included, which takes a few rounds of the event loop."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


@given(_STEPS)
def test_each_task_wakes_exactly_when_its_condition_holds(steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            counter, wanted, cancelled = Counter(tasks), list[int](), set[int]()
            for step, number in steps:
                match step:
                    case "wait":
                        wanted.append(number)
                        counter.wait_for(number)
                    case "grow":
                        counter.grow()
                    case "cancel" if number in counter.waiting:
                        cancelled.add(number)
                        counter.waiting[number].cancel()
                    case "run":
                        await settle()
            await settle()
            due = {number for number, value in enumerate(wanted) if value <= counter.value}
            assert set(counter.waiting) == set(range(len(wanted))) - due - cancelled
            assert due - cancelled <= set(counter.reached) <= due
            tasks.cancel_scope.cancel()

    anyio.run(run)


@pytest.mark.anyio
async def test_a_condition_that_holds_needs_no_notification() -> None:
    with anyio.fail_after(5):
        await Changes().wait_until(lambda: True)


@pytest.mark.anyio
async def test_one_notification_wakes_all_who_wait_and_only_them() -> None:
    changes, woken = Changes(), list[str]()

    async def wait(name: str) -> None:
        await changes.wait()
        woken.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, "one")
        tasks.start_soon(wait, "two")
        await anyio.wait_all_tasks_blocked()
        changes.notify()
        tasks.start_soon(wait, "late")
        await anyio.wait_all_tasks_blocked()
        assert woken == ["one", "two"]
        tasks.cancel_scope.cancel()


def test_it_is_bound_to_no_event_loop() -> None:
    changes = Changes()

    async def wait() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(changes.wait)
            await anyio.wait_all_tasks_blocked()
            changes.notify()

    anyio.run(wait)
    anyio.run(wait)
