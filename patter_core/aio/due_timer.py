"""A timer of the event loop that is set again and again, and goes off at the earliest of these times."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

__all__ = ["DueTimer"]


class DueTimer:
    """Calls a function once, at the earliest time that it was set to; then it can be set again.

    Args:
        function: called in the loop; must not raise.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._handle: asyncio.TimerHandle | None = None
        self._due = math.inf

    def set(self, due: float, now: float) -> None:
        """Sets it to that time, unless it goes off before anyway. Both are of one monotonic clock, in s."""
        if due >= self._due:
            return
        self.cancel()
        self._due = due
        self._handle = asyncio.get_running_loop().call_later(max(0.0, due - now), self._go_off)

    def cancel(self) -> None:
        """It does not go off until it is set again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._due = math.inf

    def _go_off(self) -> None:
        self._handle, self._due = None, math.inf
        self._function()
