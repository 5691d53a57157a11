"""What is known of calls that we made: the id that Plivo's API takes, and whether a machine has answered.

`POST Call/` returns the id of the *request*, which is what `Leg.call_id` holds for an outbound call. The call has an
id of its own, `CallUUID`, which webhooks and the media socket name beside the request's (`ALegRequestUUID`). Often they
are the same, but Plivo does not promise it. A worker that has heard of the call once knows both.
"""

from __future__ import annotations

from collections import OrderedDict

from patter_core.telephony.leg import Direction, Leg

__all__ = ["OutboundCalls"]

MOST_CALLS = 10_000
"""The oldest are forgotten first. An id that was forgotten is taken to be the request's own."""


class OutboundCalls:
    """Those of one account that this worker has heard of."""

    def __init__(self) -> None:
        self._uuids: OrderedDict[str, str] = OrderedDict()
        self._machines: OrderedDict[str, None] = OrderedDict()

    def learn(self, leg: Leg, call_uuid: str) -> None:
        """A webhook or the media socket names both ids of a call."""
        if leg.direction is Direction.OUTBOUND:
            self._uuids[leg.call_id] = call_uuid
            if len(self._uuids) > MOST_CALLS:
                self._uuids.popitem(last=False)

    def uuid_of(self, leg: Leg) -> str:
        """Returns the id that Plivo's API takes for a call."""
        return self._uuids.get(leg.call_id, leg.call_id)

    def knows(self, leg: Leg) -> bool:
        """True if that id is known: always, for an incoming call."""
        return leg.direction is Direction.INBOUND or leg.call_id in self._uuids

    def note_machine(self, leg: Leg) -> None:
        """A machine has answered a call that has a message for it."""
        self._machines[leg.call_id] = None
        if len(self._machines) > MOST_CALLS:
            self._machines.popitem(last=False)

    def is_machine(self, leg: Leg) -> bool:
        """True if that is so."""
        return leg.call_id in self._machines
