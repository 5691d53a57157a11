"""What a call carries from worker to worker, inside its stream token and its callback token."""

from __future__ import annotations

import msgspec

from patter_core.agent import CallOptions
from patter_core.aio.tries import Tries
from patter_core.call.limits import Limits
from patter_core.telephony.control import webhook_root
from patter_core.telephony.leg import Direction, Leg

__all__ = ["LONGEST_TOKEN", "CallToken", "Consult"]

LONGEST_TOKEN = 3_000
"""Characters of a sealed token. Carriers take URLs of some 4,000, and ours hold more than the token."""


class Consult(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Marks the token of a consult leg: who waits to be connected to it, and what its human is told first."""

    join: str
    """The carrier's id of the caller's leg."""
    call_id: str
    """Patter's own id of the caller's call."""
    direction: Direction = Direction.INBOUND
    """Of the caller's leg."""
    brief: str

    def __repr__(self) -> str:
        return f"<Consult for {self.call_id}>"


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
    """How many media streams were before, lost or left for a hold."""
    issued_at: float = 0.0
    """Unix s; set when the token is sealed."""
    losses: float = 0.0
    """How much of `Limits.reconnects` the lost streams have spent: it comes back with the time that streams last."""
    recording_id: str = ""
    """The carrier's id of the recording that was going on; "" if there was none."""
    consult: Consult | None = None
    """Of a leg that a warm transfer dialled: it belongs to another call, and has no conversation of its own."""
    speech: float = 0.0
    """Seconds that the carrier may take for a notice before it brings the stream."""
    began: float = 0.0
    """Unix s: when the call's first media came; after a loss of it at an unknown time, when it was asked for."""
    dialled: float = 0.0
    """Unix s: when an outbound call was dialled."""

    def __repr__(self) -> str:
        return f"<CallToken {self.call_id}>"

    def after_loss(self, limits: Limits, *, lasted: float) -> CallToken | None:
        """Returns the token that follows the loss of a media stream; None if there may be no other stream.

        Args:
            limits: of the worker.
            lasted: s that the stream was there.
        """
        tries = Tries(limits.reconnects, spent=self.losses)
        if tries.failed(worked_for=lasted) is None:  # the carrier asks now: there is no pause
            return None
        began = self.began or self.issued_at
        return msgspec.structs.replace(self, streams=self.streams + 1, losses=tries.spent, began=began)

    def lasted(self, now: float) -> float:
        """Returns for how many s the call has had media, here or on other workers; 0 if it had none.

        Args:
            now: the wall clock, Unix s. That of another worker may be ahead.
        """
        return max(0.0, now - self.began) if self.began else 0.0

    def age(self, now: float) -> float:
        """Returns for how many s other workers have had the call, ringing or with media; 0 on the one that dialled it.

        Args:
            now: as for `lasted`.
        """
        since = 0.0 if self.is_new else self.dialled or self.began
        return max(0.0, now - since) if since else 0.0

    @property
    def is_new(self) -> bool:
        """True if it was made on this worker and came back in no URL."""
        return not self.issued_at

    @property
    def leg(self) -> Leg:
        """The call at the carrier, as far as the token knows it."""
        return Leg(
            carrier=self.carrier,
            call_id=self.leg_id,
            direction=self.direction,
            from_number=self.from_number,
            to_number=self.to_number,
            webhooks=webhook_root(self.base, self.carrier) if self.base else "",
        )
