"""What a call carries from worker to worker, inside its stream token and its callback token."""

from __future__ import annotations

import msgspec

from patter_core.agent import CallOptions
from patter_core.telephony.leg import Direction, Leg

__all__ = ["CallToken"]


class CallToken(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Identifies a call: any worker that reads it can continue the call. Fields are only ever appended."""

    carrier: str
    leg_id: str = ""
    """The carrier's id of the call; "" before it has one."""
    call_id: str
    """Patter's own."""
    agent: str
    """The agent's name."""
    direction: Direction = Direction.INBOUND
    from_number: str = ""
    to_number: str = ""
    base: str = ""
    """The public address by which the carrier reaches us."""
    options: CallOptions = CallOptions()
    streams: int = 0
    """How many media streams were lost before."""
    issued_at: float = 0.0
    """Unix s; set when the token is sealed."""

    def __repr__(self) -> str:
        return f"<CallToken {self.call_id}>"

    @property
    def leg(self) -> Leg:
        """The call at the carrier, as far as the token knows it."""
        return Leg(
            carrier=self.carrier,
            call_id=self.leg_id,
            direction=self.direction,
            from_number=self.from_number,
            to_number=self.to_number,
        )
