"""An event that makes its queue of waiters when somebody waits for it.

Those of anyio and asyncio hold a queue of some 700 bytes from the beginning. A call has a dozen of events, and one or
two of them are waited for.
"""

from __future__ import annotations

import asyncio

__all__ = ["Event"]


class Event:
    """As `asyncio.Event`: it is set, cleared and waited for in one event loop."""

    __slots__ = ("_is_set", "_waited_for")

    def __init__(self) -> None:
        self._is_set = False
        self._waited_for: asyncio.Event | None = None

    def is_set(self) -> bool:
        """True once it is set."""
        return self._is_set

    def set(self) -> None:
        """Wakes all that wait, and lets those pass that will."""
        self._is_set = True
        if self._waited_for is not None:
            self._waited_for.set()
            self._waited_for = None

    def clear(self) -> None:
        """Has those wait that come from here on."""
        self._is_set = False

    async def wait(self) -> None:
        """Waits until it is set; returns at once if it is."""
        if not self._is_set:
            if self._waited_for is None:
                self._waited_for = asyncio.Event()
            await self._waited_for.wait()
