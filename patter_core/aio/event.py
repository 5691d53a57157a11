"""An event that is small.

Those of anyio and asyncio hold a queue of some 700 bytes: anyio's from the beginning, asyncio's once somebody waits. A
call has a dozen of events, and some of them are waited for all the time, by one task each.
"""

from __future__ import annotations

import asyncio

__all__ = ["Event"]


class Event:
    """As `asyncio.Event`: it is set, cleared and waited for in one event loop."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """True once it is set."""
        return self._is_set

    def set(self) -> None:
        """Wakes all that wait, and lets those pass that will."""
        self._is_set = True
        waiting, self._waiting = self._waiting, None
        for waiter in waiting or ():
            if not waiter.done():  # cancelled, and not yet told so
                waiter.set_result(None)

    def clear(self) -> None:
        """Has those wait that come from here on."""
        self._is_set = False

    async def wait(self) -> None:
        """Waits until it is set; returns at once if it is."""
        if self._is_set:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            self._forget(waiter)

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        if self._waiting is not None and waiter in self._waiting:
            self._waiting.remove(waiter)
