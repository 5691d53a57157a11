from __future__ import annotations

import anyio
import pytest

from patter_core.testing.changes import Changes

pytestmark = pytest.mark.anyio


async def test_what_holds_already_is_not_waited_for() -> None:
    await Changes().wait_until(lambda: True)


async def test_each_change_wakes_those_whose_condition_holds_now() -> None:
    changes, state, woken = Changes(), [0], list[int]()

    async def wait(number: int) -> None:
        await changes.wait_until(lambda: state[0] >= number)
        woken.append(number)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in (2, 1, 1):
                tasks.start_soon(wait, number)
            for number, expected in ((1, [1, 1]), (2, [1, 1, 2])):
                await anyio.wait_all_tasks_blocked()
                state[0] = number
                changes.notify()
                await anyio.wait_all_tasks_blocked()
                assert woken == expected


async def test_a_change_that_does_not_matter_wakes_nothing_for_good() -> None:
    changes = Changes()
    with anyio.move_on_after(0.05) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(changes.wait_until, lambda: False)
            await anyio.wait_all_tasks_blocked()
            changes.notify()
    assert scope.cancelled_caught
