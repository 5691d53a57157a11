"""What a part's session has received and the pipeline has not taken yet: what its `events()` returns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

import anyio

from patter_core.aio import DroppingQueue
from patter_core.errors import EngineError

__all__ = ["Inbox"]

E = TypeVar("E")
K = TypeVar("K")

_ITEMS = 10_000
_BYTES = 8 * 2**20
"""Of audio: beyond that the oldest is dropped. The pipeline takes events as they come, so this bounds a fault."""


class Inbox(AsyncIterator[E], Generic[E]):
    """A bounded queue of events that is closed once, perhaps with an error."""

    def __init__(self) -> None:
        self._queue: DroppingQueue[E] = DroppingQueue(_ITEMS, max_weight=_BYTES)
        self._error: EngineError | None = None

    def put(self, event: E, size: int = 0) -> None:
        """Adds an event; `size` counts its audio, in bytes. After `close` it does nothing."""
        self._queue.put(event, weight=size)

    def discard(self, is_void: Callable[[E], bool]) -> None:
        """Removes events."""
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
