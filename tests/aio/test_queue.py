"""Items come out in order; without room the oldest of the lowest rank is dropped, and counted."""

from __future__ import annotations

import functools
import math
import time
from typing import NamedTuple

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.aio import DroppingQueue


class Item(NamedTuple):
    number: int
    rank: int
    weight: int


class Model:
    """The same queue, written for reading: it looks through all items each time."""

    def __init__(self, limit: int, ranks: int, reserve: int, max_weight: float) -> None:
        self.items: list[Item] = []
        self.dropped = self.dropped_weight = 0
        self._limit, self._ranks, self._reserve, self._max_weight = limit, ranks, reserve, max_weight

    def put(self, item: Item) -> None:
        self.items.append(item)
        for rank in range(self._ranks):
            while self._weight_from(rank) > self._max_weight and len(self._of(rank)) > 1:
                self._drop(rank)
        reserved = self._of(self._ranks - 1) if self._reserve else []
        if len(reserved) > self._reserve:
            self._drop(self._ranks - 1)
        elif len(self.items) - len(reserved) > self._limit:
            self._drop(min(item.rank for item in self.items))

    def _of(self, rank: int) -> list[Item]:
        return [item for item in self.items if item.rank == rank]

    def _weight_from(self, rank: int) -> int:
        return sum(item.weight for item in self.items if item.rank >= rank)

    def _drop(self, rank: int) -> None:
        oldest = self._of(rank)[0]
        self.items.remove(oldest)
        self.dropped += 1
        self.dropped_weight += oldest.weight

    def take(self, count: int, max_weight: int) -> list[Item]:
        taken: list[Item] = []
        while self.items and len(taken) < count:
            if taken and sum(item.weight for item in [*taken, self.items[0]]) > max_weight:
                break
            taken.append(self.items.pop(0))
        return taken


def has_rank(rank: int, item: Item) -> bool:
    return item.rank == rank


_STEPS = st.lists(
    st.tuples(st.just("put"), st.integers(0, 3), st.integers(0, 9))
    | st.tuples(st.sampled_from(["take", "discard"]), st.integers(0, 5), st.integers(0, 30))
    | st.tuples(st.sampled_from(["pop", "clear"]), st.just(0), st.just(0)),
    max_size=60,
)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 3), st.sampled_from([5, 20, math.inf]), _STEPS)
def test_it_keeps_and_drops_what_the_rules_say(
    limit: int, ranks: int, reserve: int, max_weight: float, steps: list[tuple[str, int, int]]
) -> None:
    queue: DroppingQueue[Item] = DroppingQueue(limit, ranks=ranks, reserve=reserve, max_weight=max_weight)
    model = Model(limit, ranks, reserve, max_weight)
    for number, (step, first, weight) in enumerate(steps):
        match step:
            case "put":
                item = Item(number, first % ranks, weight)
                queue.put(item, item.rank, weight)
                model.put(item)
            case "pop" if model.items:
                assert queue.pop() == model.items.pop(0)
            case "take":
                assert queue.take(first, weight) == model.take(first, weight)
            case "discard":
                queue.discard(functools.partial(has_rank, first))
                model.items = [item for item in model.items if item.rank != first]
            case "clear":
                assert queue.clear() == len(model.items)
                model.dropped += len(model.items)
                model.dropped_weight += sum(item.weight for item in model.items)
                model.items.clear()
        assert (queue.weight, queue.dropped_weight) == (sum(item.weight for item in model.items), model.dropped_weight)
        assert (len(queue), bool(queue), queue.dropped) == (len(model.items), bool(model.items), model.dropped)
    assert queue.take(len(queue)) == model.items


def test_an_empty_queue_has_nothing_to_take() -> None:
    queue: DroppingQueue[str] = DroppingQueue(2)
    assert queue.take(5) == []
    with pytest.raises(IndexError):
        queue.pop()


def test_items_of_the_highest_rank_may_have_room_of_their_own() -> None:
    queue: DroppingQueue[str] = DroppingQueue(2, ranks=2, reserve=3)
    for letter in "abcd":
        queue.put(letter, 1)
    for letter in "wxyz":
        queue.put(letter, 0)
    assert queue.dropped == 3
    assert queue.take(9) == ["b", "c", "d", "y", "z"]


def test_a_weight_counts_against_its_own_rank_and_lower_ones_only() -> None:
    queue: DroppingQueue[str] = DroppingQueue(9, ranks=2, max_weight=10)
    queue.put("light", 1, 1)
    queue.put("low", 0, 1)
    queue.put("huge and low", 0, 99)
    assert queue.take(9) == ["light", "huge and low"]
    queue.put("low", 0, 1)
    queue.put("lower", 0, 1)
    queue.put("huge and high", 1, 99)
    assert queue.take(9) == ["lower", "huge and high"]


def test_dropping_costs_the_same_however_much_waits() -> None:
    def seconds(waiting: int) -> float:
        queue: DroppingQueue[int] = DroppingQueue(waiting, ranks=2)
        for number in range(waiting):
            queue.put(number, 1)
        queue.put(0, 0)  # the first drop
        began = time.perf_counter()
        for number in range(1_000):
            queue.put(number, 0)
        assert queue.dropped == 1_001
        return time.perf_counter() - began

    assert min(seconds(50_000) for _ in range(3)) < 20 * min(seconds(50) for _ in range(3))


@pytest.mark.anyio
async def test_a_consumer_waits_for_items_and_iteration_ends_once_it_is_closed_and_empty() -> None:
    queue: DroppingQueue[int] = DroppingQueue(9)
    taken: list[int] = []

    async def consume() -> None:
        async for item in queue:
            taken.append(item)  # noqa: PERF401 - it is looked at meanwhile

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            queue.put(1)
            queue.put(2)
            await anyio.wait_all_tasks_blocked()
            assert taken == [1, 2]
            queue.put(3)
            queue.close()
            queue.close()
            queue.put(4)
    assert taken == [1, 2, 3]
    assert (queue.closed, len(queue), queue.dropped) == (True, 0, 0)
    with pytest.raises(anyio.EndOfStream):
        await queue.get()


@pytest.mark.anyio
async def test_a_full_queue_is_consumed_in_order_too() -> None:
    queue: DroppingQueue[int] = DroppingQueue(3, ranks=2)
    for number in range(6):
        queue.put(number, number % 2)
    queue.close()
    with anyio.fail_after(5):
        assert [item async for item in queue] == [1, 3, 5]
    assert queue.dropped == 3


@pytest.mark.anyio
async def test_a_consumer_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    queue: DroppingQueue[int] = DroppingQueue(9)
    with anyio.move_on_after(0):
        await queue.get()
    queue.put(1)
    assert await queue.get() == 1


@pytest.mark.anyio
async def test_a_batch_can_be_waited_for_until_it_is_full_or_the_queue_is_closed() -> None:
    queue: DroppingQueue[int] = DroppingQueue(9)
    queue.put(1)
    with anyio.fail_after(5):
        await queue.wait()
        with anyio.move_on_after(0.02) as too_few:
            await queue.wait(2)
        assert too_few.cancelled_caught
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.wait, 2)
            await anyio.wait_all_tasks_blocked()
            queue.put(2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.wait, 3)
            await anyio.wait_all_tasks_blocked()
            queue.close()


@pytest.mark.anyio
async def test_a_second_task_that_waits_is_refused() -> None:
    queue: DroppingQueue[int] = DroppingQueue(9)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="waits"):
            await queue.get()
        queue.put(1)


def test_it_may_outlive_an_event_loop() -> None:
    queue: DroppingQueue[int] = DroppingQueue(9)

    async def consume() -> int:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.wait)
            await anyio.wait_all_tasks_blocked()
            queue.put(1)
        return await queue.get()

    assert anyio.run(consume) == 1
    assert anyio.run(consume) == 1
