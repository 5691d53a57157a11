"""What a session has to report and was not taken yet: one reader puts, one consumer iterates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

import anyio

from patter_core.aio import DroppingQueue
from patter_core.errors import EngineError

__all__ = ["Inbox"]

_ITEM_LIMIT = 10_000
_BYTE_LIMIT = 8 * 2**20

E = TypeVar("E")
K = TypeVar("K")


class Inbox(AsyncIterator[E], Generic[E]):
    """A bounded queue that is closed once, perhaps with an error: what `events()` returns.

    Without room, the oldest of what may be dropped (audio, texts that others replace) goes first.
    """

    def __init__(self) -> None:
        self._queue: DroppingQueue[E] = DroppingQueue(_ITEM_LIMIT, ranks=2, max_weight=_BYTE_LIMIT)
        self._error: EngineError | None = None

    @property
    def dropped(self) -> int:
        """How much was dropped because the consumer did not take it."""
        return self._queue.dropped

    def put(self, event: E, *, size: int = 0, droppable: bool = False) -> None:
        """Adds an event of about that many bytes. After `close` it does nothing."""
        self._queue.put(event, 0 if droppable else 1, size)

    def discard(self, is_void: Callable[[E], bool]) -> None:
        """Removes what is void. It does not count as dropped."""
        self._queue.discard(is_void)

    def remove(self, kind: type[K]) -> list[K]:
        """Removes the events of a kind, also after `close`, and returns them, the oldest first."""
        removed: list[K] = []

        def is_of_kind(event: E) -> bool:
            if not isinstance(event, kind):
                return False
            removed.append(event)
            return True

        self._queue.discard(is_of_kind)
        return removed

    def close(self, error: EngineError | None = None) -> None:
        """Nothing follows. What waits can still be taken; then iteration ends, or raises `error`. Idempotent."""
        if not self._queue.closed:
            self._error = error
            self._queue.close()

    async def __anext__(self) -> E:
        try:
            return await self._queue.get()
        except anyio.EndOfStream:
            error, self._error = self._error, None
            raise error or StopAsyncIteration from None
