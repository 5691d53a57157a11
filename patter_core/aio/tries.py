"""How often something that fails is tried again, and when. Sans-IO.

A number of tries alone is either too few or too many: a connection that is lost once in a few minutes for hours
deserves each of them, one that is lost as soon as it is there deserves none after the first few. So tries are credit,
which is spent by failures and comes back with the time that the thing worked.
"""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Tries"]


def _spread() -> float:
    return random.uniform(0.75, 1.25)


class Tries:
    """The tries of one thing after its first failure.

    The pause before the next try doubles with each credit that is spent; after a failure of something that worked, the
    first try is at once.

    Args:
        credit: how many tries there are, and the most there can be.
        spent: what of it was spent before.
        returns_every: s of health that bring one back.
        first_pause: s, before the first try.
        longest_pause: s.
        spread: gives the factor by which a pause differs, so that those who failed together do not return together.
    """

    def __init__(
        self,
        credit: int,
        *,
        spent: float = 0.0,
        returns_every: float = 60.0,
        first_pause: float = 0.25,
        longest_pause: float = 8.0,
        spread: Callable[[], float] = _spread,
    ) -> None:
        self._most = credit
        self._credit = credit - spent
        self._returns_every = returns_every
        self._pauses = (first_pause, longest_pause)
        self._spread = spread

    @property
    def left(self) -> int:
        """How many tries there are now."""
        return int(self._credit)

    @property
    def spent(self) -> float:
        """How much credit is spent now."""
        return self._most - self._credit

    def failed(self, *, worked_for: float = 0.0, asked_for: float = 0.0, within: float = float("inf")) -> float | None:
        """Spends a try. Returns the pause before it in s; None if there is none left, or the pause would be too long.

        Args:
            worked_for: s that it worked before it failed.
            asked_for: s that the peer asks to wait, as `Retry-After`.
            within: s that may be waited.
        """
        self._credit = min(self._most, self._credit + worked_for / self._returns_every)
        if self._credit < 1 or within <= 0:
            return None
        first, longest = self._pauses
        usual = min(first * 2.0**self.spent, longest, within / 2)  # so that the time is used to its end
        pause = 0.0 if worked_for else usual * self._spread()
        pause = max(pause, asked_for)
        if pause > within:
            return None
        self._credit -= 1
        return pause
