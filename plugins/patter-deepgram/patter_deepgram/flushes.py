"""The limit of the service on flushes, sans-IO: so many in a window of time, for each connection."""

from __future__ import annotations

from collections import deque

__all__ = ["LIMIT", "WINDOW", "FlushBudget"]

LIMIT = 20
WINDOW = 60.0
"""In s. Beyond the limit the service only warns, and the text waits until the window is over."""
_SLACK = 1.0
"""Seconds by which the clocks may differ, with what the network adds."""


class FlushBudget:
    """What is left of the limit."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=LIMIT)

    def take(self, now: float, *, reserve: int = 0) -> bool:
        """Returns True if one more flush is allowed now, and counts it.

        Args:
            now: in s, of any monotonic clock.
            reserve: how many must be left after it.
        """
        if sum(now - taken < WINDOW + _SLACK for taken in self._taken) + reserve >= LIMIT:
            return False
        self._taken.append(now)
        return True

    def use_up(self, now: float) -> None:
        """No more are allowed for a whole window: the service says so."""
        self._taken.extend([now] * LIMIT)
