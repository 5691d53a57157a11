"""Waiting for a condition without polling."""

from __future__ import annotations

from collections.abc import Callable

import anyio

__all__ = ["Changes"]


class Changes:
    """Wakes the coroutines that wait for a condition. The owner of the state calls `notify` after each change of it."""

    def __init__(self) -> None:
        self._changed = anyio.Event()

    def notify(self) -> None:
        """Has every waiting coroutine look at its condition again."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Returns once `condition()` is true; at once, if it is."""
        while not condition():
            await self._changed.wait()
