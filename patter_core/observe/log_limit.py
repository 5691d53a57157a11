"""Bounds how often a log says the same. Sans-IO: the time is an argument."""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

__all__ = ["MessageLimit"]


class _Kind(msgspec.Struct):
    credit: float
    at: float
    left_out: int = 0


class MessageLimit:
    """Admits some messages of each kind at once, and afterwards one in each interval; counts those left out.

    Args:
        burst: messages of one kind that are admitted at once.
        interval: seconds in which one more is.
        kinds: that are told apart; the oldest is forgotten.
    """

    def __init__(self, *, burst: int = 20, interval: float = 1.0, kinds: int = 1_000) -> None:
        self._burst = burst
        self._interval = interval
        self._most = kinds
        self._kinds: dict[Hashable, _Kind] = {}

    def admit(self, kind: Hashable, now: float) -> int | None:
        """Returns how many of that kind were left out since the last one that was admitted; None if this one is."""
        state = self._kinds.get(kind)
        if state is None:
            state = self._kinds[kind] = _Kind(self._burst, now)
            if len(self._kinds) > self._most:
                del self._kinds[next(iter(self._kinds))]
        state.credit = min(state.credit + max(now - state.at, 0.0) / self._interval, self._burst)
        state.at = now
        if state.credit < 1:
            state.left_out += 1
            return None
        state.credit -= 1
        return self.take(kind)

    def take(self, kind: Hashable) -> int:
        """Returns how many of that kind were left out and not told yet: from now on they are."""
        state = self._kinds.get(kind)
        if state is None:
            return 0
        left_out, state.left_out = state.left_out, 0
        return left_out
