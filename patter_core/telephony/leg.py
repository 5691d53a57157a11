"""A leg: one call at its carrier."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["AnsweredBy", "Direction", "Leg", "Progress"]


class Direction(enum.StrEnum):
    """Whether the call came in or was made by us."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Progress(enum.StrEnum):
    """How far a call has come, as its carrier reports."""

    DIALLING = "dialling"
    """We asked for it; the carrier has not reported anything yet."""
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"
    """It was answered, and is over."""
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELED = "canceled"
    """We cancelled it before it was answered."""
    FAILED = "failed"
    """It could not be connected."""

    @property
    def is_final(self) -> bool:
        """True if the call is over."""
        return self not in {Progress.DIALLING, Progress.RINGING, Progress.ANSWERED}


class AnsweredBy(enum.StrEnum):
    """Who answered, by the carrier's machine detection."""

    HUMAN = "human"
    MACHINE = "machine"
    """A machine; its greeting may still be playing."""
    MACHINE_READY = "machine_ready"
    """A machine whose greeting is over, by a beep or by silence: it takes a message now."""
    FAX = "fax"
    UNKNOWN = "unknown"


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One call at its carrier. Numbers are not part of its `repr`, and so not of logs."""

    carrier: str
    """The carrier's name in the registry."""
    call_id: str
    """The carrier's own id of the call."""
    direction: Direction = Direction.INBOUND
    from_number: str = ""
    """The caller: E.164, a SIP address without parameters (`sip:user@host`), or "" if it is withheld or neither.
    Carriers convert what their vendor writes by `patter_core.telephony.e164.address_of`."""
    to_number: str = ""
    """The called number, as above."""
    parameters: dict[str, str] = {}
    """Custom parameters of the call, by name."""
    webhooks: str = ""
    """The public URL of the carrier's webhooks, as in `Callbacks.root`, for commands that name a URL of ours. The core
    sets it on the legs that it gives to a carrier's commands; carriers leave it out."""

    @property
    def key(self) -> tuple[str, str]:
        """Carrier and id: two carriers may use the same ids."""
        return self.carrier, self.call_id

    def __repr__(self) -> str:
        return f"<Leg {self.carrier} {self.direction.value} {self.call_id}>"
