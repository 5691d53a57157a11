"""A bounded queue whose producers never wait: without room, the oldest item of the least important rank is dropped."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import anyio

__all__ = ["DroppingQueue"]

T = TypeVar("T")

_Entry = tuple[T, int, int]
"""An item, its rank and its weight."""


class DroppingQueue(Generic[T]):
    """Items in order of arrival, up to a limit, for one consumer at a time. Putting, taking and dropping one is O(1).

    An item has a rank, its importance, from 0 on. Without room, the oldest item of the lowest rank is dropped. An item
    may also have a weight, which counts against its own rank and the ranks below it; the latest item of each rank is
    kept, however heavy it is.

    All calls come from one event loop; there is no task and no lock.

    Args:
        limit: how many items may wait.
        ranks: how many ranks there are.
        reserve: how many items of the highest rank may wait beyond `limit`, in room of their own; if 0, they share it.
        max_weight: how much the items may weigh together.
    """

    def __init__(self, limit: int, *, ranks: int = 1, reserve: int = 0, max_weight: float = math.inf) -> None:
        self.dropped = 0
        """Items that were put and not taken: for want of room, or by `clear`."""
        self.dropped_weight = 0
        """How much those weighed."""
        self._limit = limit
        self._ranks = ranks
        self._reserve = reserve
        self._max_weight = max_weight
        self._ample = min(limit, reserve or limit)
        """So many items have room, whatever their ranks."""
        self._items: deque[_Entry[T]] = deque()
        """In order of arrival, as long as there is room for all."""
        self._by_rank: _ByRank[T] | None = None
        """Used instead of `_items` from the first lack of room until the queue is empty: it finds what to drop."""
        self._weight = 0
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        self._wake_at = 1
        """So many items must wait before the consumer is woken."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._items) if self._by_rank is None else len(self._by_rank)

    @property
    def weight(self) -> int:
        """How much the items weigh together."""
        return self._weight if self._by_rank is None else sum(self._by_rank.weights)

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def put(self, item: T, rank: int = 0, weight: int = 0) -> None:
        """Appends an item. After `close` it does nothing."""
        if self._closed:
            return
        if self._by_rank is None:
            self._items.append((item, rank, weight))
            self._weight += weight
            if len(self._items) > self._ample or self._weight > self._max_weight:
                self._by_rank = _ByRank(self._items, self._ranks)
                self._items.clear()
                self._make_room(self._by_rank)
        else:
            self._by_rank.append(item, rank, weight)
            self._make_room(self._by_rank)
        if self._waiter is not None and (self._wake_at == 1 or len(self) >= self._wake_at):
            self._wake()

    def pop(self) -> T:
        """Takes the oldest item.

        Raises:
            IndexError: the queue is empty.
        """
        if self._by_rank is None:
            item, _, weight = self._items.popleft()
            self._weight -= weight
            return item
        item = self._by_rank.pop()
        if not len(self._by_rank):
            self._by_rank = None
            self._weight = 0
        return item

    def take(self, count: int, max_weight: float = math.inf) -> list[T]:
        """Takes the oldest items, at most `count`, of at most that weight; the first one whatever it weighs."""
        if self.weight <= max_weight:
            return [self.pop() for _ in range(min(count, len(self)))]
        taken: list[T] = []
        before = self.weight
        while len(taken) < count and len(self):
            if taken and before - self.weight + self._next_weight() > max_weight:
                break
            taken.append(self.pop())
        return taken

    async def get(self) -> T:
        """Takes the oldest item, as soon as there is one. Cancelling it loses nothing.

        Raises:
            anyio.EndOfStream: the queue is closed and empty.
        """
        while not self._items:
            if self._by_rank is not None:
                return self.pop()
            if self._closed:
                raise anyio.EndOfStream
            await self._wait_for(1)
        item, _, weight = self._items.popleft()
        self._weight -= weight
        return item

    async def wait(self, count: int = 1) -> None:
        """Returns once `count` items wait, or the queue is closed."""
        while len(self) < count and not self._closed:
            await self._wait_for(count)

    def __aiter__(self) -> DroppingQueue[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.get()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Takes no more items. What waits can still be taken; then `get` raises and iteration ends. Idempotent."""
        self._closed = True
        self._wake()

    def clear(self) -> int:
        """Drops all items; returns how many."""
        count = len(self)
        self.dropped += count
        self.dropped_weight += self.weight
        self._replace(())
        return count

    def discard(self, condition: Callable[[T], bool]) -> None:
        """Removes the items for which `condition` is true. They do not count as dropped. O(n)."""
        entries = self._items if self._by_rank is None else self._by_rank.entries()
        self._replace([entry for entry in entries if not condition(entry[0])])

    def _replace(self, entries: Iterable[_Entry[T]]) -> None:
        self._items = deque(entries)
        self._weight = sum(weight for _, _, weight in self._items)
        self._by_rank = None

    def _make_room(self, items: _ByRank[T]) -> None:
        if self._max_weight != math.inf:
            self._make_room_by_weight(items)
        reserved = items.count(self._ranks - 1) if self._reserve else 0
        if reserved > self._reserve:
            self._drop(items, self._ranks - 1)
        elif len(items) - reserved > self._limit:
            self._drop(items, items.lowest)

    def _make_room_by_weight(self, items: _ByRank[T]) -> None:
        weight = sum(items.weights)
        for rank in range(self._ranks):
            while weight > self._max_weight and items.count(rank) > 1:
                weight -= self._drop(items, rank)
            weight -= items.weights[rank]

    def _drop(self, items: _ByRank[T], rank: int) -> int:
        """Drops the oldest item of a rank; returns its weight."""
        weight = items.remove(rank)[2]
        self.dropped += 1
        self.dropped_weight += weight
        return weight

    def _next_weight(self) -> int:
        return self._items[0][2] if self._by_rank is None else self._by_rank.first[2]

    def _wait_for(self, count: int) -> asyncio.Future[None]:
        """Returns a future that is set once `count` items wait, or the queue is closed."""
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
            raise RuntimeError("Another task waits for this queue already.")
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()  # a system call in Python 3.11, so it is kept
        self._wake_at = count
        self._waiter = asyncio.Future(loop=self._loop)
        return self._waiter

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
            waiter.set_result(None)


class _ByRank(Generic[T]):
    """Items with a deque for each rank, where the oldest of each is at hand. Numbers keep the order of arrival."""

    def __init__(self, entries: Iterable[_Entry[T]], ranks: int) -> None:
        self.weights = [0] * ranks
        self._ranks: tuple[deque[tuple[int, _Entry[T]]], ...] = tuple(deque() for _ in range(ranks))
        self._number = 0
        self._size = 0
        for entry in entries:
            self.append(*entry)

    def __len__(self) -> int:
        return self._size

    @property
    def lowest(self) -> int:
        """The lowest rank that has an item."""
        return next(rank for rank, items in enumerate(self._ranks) if items)

    @property
    def first(self) -> _Entry[T]:
        """The oldest item of all."""
        return min((items[0] for items in self._ranks if items), key=_number)[1]

    def count(self, rank: int) -> int:
        """Returns the number of items of a rank."""
        return len(self._ranks[rank])

    def entries(self) -> list[_Entry[T]]:
        """All items, in order of arrival."""
        numbered = [entry for items in self._ranks for entry in items]
        return [entry for _, entry in sorted(numbered, key=lambda entry: entry[0])]

    def append(self, item: T, rank: int, weight: int) -> None:
        """Adds an item as the latest."""
        self._number += 1
        self._ranks[rank].append((self._number, (item, rank, weight)))
        self.weights[rank] += weight
        self._size += 1

    def pop(self) -> T:
        """Removes the oldest item of all."""
        _, rank = min((items[0][0], rank) for rank, items in enumerate(self._ranks) if items)
        return self.remove(rank)[0]

    def remove(self, rank: int) -> _Entry[T]:
        """Removes the oldest item of a rank."""
        _, entry = self._ranks[rank].popleft()
        self.weights[rank] -= entry[2]
        self._size -= 1
        return entry


def _number(numbered: tuple[int, object]) -> int:
    return numbered[0]
