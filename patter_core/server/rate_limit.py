"""How many new calls a second."""

from __future__ import annotations

__all__ = ["RateLimit"]


class RateLimit:
    """A token bucket: `per_second` on average, and as many (at least one) at once after a quiet time.

    Sans-IO: `now` is a monotonic clock, in s.
    """

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._size = max(1.0, per_second)
        self._tokens = self._size
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Takes one; False if none is left."""
        self._tokens = min(self._size, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give_back(self) -> None:
        """Gives back what was taken last."""
        self._tokens = min(self._size, self._tokens + 1)
