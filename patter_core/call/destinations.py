"""Where the calls of a worker may lead: which numbers are switched off, how many an hour, and how many calls a minute.

An agent that is talked into calling or transferring at will costs by the minute: its tools may ask for any number. What
a user configures, such as the transfer of a fallback or a route, is not counted here.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from patter_core.call.limits import Limits
from patter_core.errors import CallLimitReached
from patter_core.telephony.e164 import address_of

__all__ = ["Destinations"]

_MINUTE, _HOUR = 60.0, 3600.0
_SIP_NUMBER = re.compile(r"sips?:(\+[0-9]+)@.*")
"""A telephone behind a SIP gateway."""


class Destinations:
    """Counts the numbers that one worker calls, or transfers to.

    Args:
        limits: of the worker.
        clock: monotonic, in s.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._called: OrderedDict[str, float] = OrderedDict()
        """When each number was the destination for the last time, within an hour."""
        self._calls: deque[float] = deque()
        """When calls were made, within a minute."""

    def take(self, to: str) -> None:
        """Counts a transfer to that number. Tools that transfer a call ask here.

        Args:
            to: E.164, or a SIP address.

        Raises:
            CallLimitReached: the number is in a range that is switched off, or is one too many; it is not counted.
        """
        now, number = self._clock(), address_of(to) or to
        self._check_range(number)
        self._check_count(number, now)
        self._note(number, now)

    def take_call(self, to: str) -> None:
        """Counts a call to that number. As `take`, and it may be one call too many."""
        now, number = self._clock(), address_of(to) or to
        self._check_range(number)
        self._check_count(number, now)
        while self._calls and now - self._calls[0] >= _MINUTE:
            self._calls.popleft()
        most = self._limits.outbound_per_minute
        if len(self._calls) >= most:
            raise CallLimitReached(
                "No more calls can be made on this worker within this minute.",
                expected=f"at most {most} (Limits.outbound_per_minute)",
                remedy="Try again later, or raise the limit.",
            )
        self._calls.append(now)
        self._note(number, now)

    def _check_range(self, number: str) -> None:
        behind = _SIP_NUMBER.fullmatch(number)
        telephone = behind[1] if behind else number
        for prefix in self._limits.refused_prefixes:
            if telephone.startswith(prefix):
                raise CallLimitReached(
                    f"Numbers that begin with {prefix} are switched off.",
                    expected="a number outside Limits.refused_prefixes",
                    remedy="If such calls are wanted, leave the prefix out: Limits(refused_prefixes=…).",
                )

    def _check_count(self, number: str, now: float) -> None:
        while self._called and now - next(iter(self._called.values())) >= _HOUR:
            self._called.popitem(last=False)
        most = self._limits.destinations_per_hour
        if number not in self._called and len(self._called) >= most:
            raise CallLimitReached(
                "This worker has called too many different numbers within an hour.",
                expected=f"at most {most} (Limits.destinations_per_hour)",
                remedy="Try again later, or raise the limit.",
            )

    def _note(self, number: str, now: float) -> None:
        self._called[number] = now
        self._called.move_to_end(number)
