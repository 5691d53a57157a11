"""Calls that this worker took by their webhook, where the carrier may bring the audio to another one.

Such a call is no call of this worker yet, and perhaps never will be. It has a place here all the same until more is
known: many webhooks may come before the first audio. A place is reserved once for each stream of a call: a webhook that
was recorded and is sent again keeps none. Sans-IO: `now` is a monotonic clock, in s.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from patter_core.server.bounded import BoundedDict
from patter_core.telephony.leg import Leg

__all__ = ["ReservedCall", "ReservedCalls"]

_KNOWN = 10_000
"""Streams that are remembered as reserved before."""


class ReservedCall(msgspec.Struct, frozen=True):
    """A call whose audio was not heard of since it was accepted."""

    leg: Leg
    call_id: str
    streams: int
    """How many streams it had before the one that it waits for."""
    until: float
    """When its audio would have come."""


class ReservedCalls:
    """The reserved calls of one worker."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], ReservedCall] = {}
        self._known: BoundedDict[tuple[str, int], bool] = BoundedDict(_KNOWN)

    def __contains__(self, leg: Leg) -> bool:
        return leg.key in self._calls

    def __iter__(self) -> Iterator[ReservedCall]:
        return iter(list(self._calls.values()))

    def count(self, now: float) -> int:
        """Returns how many there are; those whose time is over are forgotten."""
        for call in self:
            if now >= call.until:
                self.drop(call.leg)
        return len(self._calls)

    def add(self, leg: Leg, call_id: str, *, streams: int, until: float) -> None:
        """A call was accepted, unless the webhook only came again.

        Args:
            leg: the call at its carrier.
            call_id: Patter's own.
            streams: how many streams it had before.
            until: when its audio should have come, to whichever worker.
        """
        if (call_id, streams) not in self._known:
            self._known.put((call_id, streams), True)
            self._calls[leg.key] = ReservedCall(leg, call_id, streams, until)

    def note_stream(self, leg: Leg, streams: int) -> None:
        """A call has had so many streams, on whichever worker: one that came is not waited for."""
        call = self._calls.get(leg.key)
        if call is not None and streams > call.streams:
            self.drop(leg)

    def drop(self, leg: Leg) -> None:
        """The call is over, or is here."""
        self._calls.pop(leg.key, None)
