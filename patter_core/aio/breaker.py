"""Whether something that keeps failing is tried at all. Sans-IO: time is an argument.

Where there is something else to turn to, each try at what is down costs a wait. After some failures in a row nothing is
tried for a while, then by one at a time, until one try has worked. `Tries` is another thing: it says how often one user
of something tries again. And a queue of records has nothing else to turn to, so it only waits longer from try to try.
"""

from __future__ import annotations

import dataclasses
from collections import deque

__all__ = ["Attempt", "Breaker"]


@dataclasses.dataclass(slots=True, eq=False)
class Attempt:
    """One try, from `Breaker.begin` until it is reported."""

    period: int
    """Of the breaker, in which it began; -1 once it is reported."""


class Breaker:
    """Closed, it lets everybody try. Open, it lets one at a time try, and that only after a pause.

        attempt = breaker.begin(now)
        if attempt is None:
            return  # and turn to something else
        try:
            ...
            breaker.worked(attempt)
        except OSError:
            breaker.failed(attempt, now)
        finally:
            breaker.gave_up(attempt)  # cancelled; after another report it does nothing

    Each attempt is reported once; what is reported later of the same attempt does nothing. What is reported of attempts
    from before the breaker opened does nothing either: they say nothing new.

    Args:
        failures: in a row, after which it opens. One that works among them shows that the thing is not down, and of
            hundreds of tries some always fail.
        within: s in which these failures have to lie.
        pause: s without a try, from the last failure on.
    """

    def __init__(self, failures: int = 5, within: float = 30.0, pause: float = 10.0) -> None:
        self._within = within
        self._pause = pause
        self._failed: deque[float] = deque(maxlen=failures)
        """When, in a row."""
        self._period = 0
        """Counts how often it opened and closed."""
        self._open_until: float | None = None
        self._probe: Attempt | None = None

    @property
    def open(self) -> bool:
        """True from the failure that opened it until an attempt has worked."""
        return self._open_until is not None

    def begin(self, now: float) -> Attempt | None:
        """Returns an attempt, which must be reported; None if nothing may be tried now."""
        if self._open_until is None:
            return Attempt(self._period)
        if now < self._open_until or self._probe is not None:
            return None
        self._probe = Attempt(self._period)
        return self._probe

    def worked(self, attempt: Attempt) -> None:
        """It works: an open breaker closes."""
        if not self._counts(attempt):
            return
        self._failed.clear()
        if self.open:
            self._open_until = None
            self._period += 1

    def failed(self, attempt: Attempt, now: float) -> None:
        """It does not work: a closed breaker may open, an open one stays so for another pause."""
        if not self._counts(attempt):
            return
        self._failed.append(now)
        if self.open:
            self._open_until = now + self._pause
        elif len(self._failed) == self._failed.maxlen and now - self._failed[0] <= self._within:
            self._open_until = now + self._pause
            self._period += 1

    def gave_up(self, attempt: Attempt) -> None:
        """It was left before it was known whether it works: another may try at once."""
        self._counts(attempt)

    def _counts(self, attempt: Attempt) -> bool:
        """Ends the attempt; True if what is reported of it says something about the breaker as it is now."""
        counts = attempt.period == self._period
        attempt.period = -1
        if attempt is self._probe:
            self._probe = None
        return counts
