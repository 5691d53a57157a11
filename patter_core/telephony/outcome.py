"""How a call ends: what we do with the caller, why it ended, and who ended it."""

from __future__ import annotations

import enum

from patter_core.config import ConfiguredStruct, check_fields
from patter_core.errors import ConfigurationError
from patter_core.telephony.e164 import is_callable, number_error

__all__ = ["FAILURES", "By", "ConsultResult", "HangUp", "Reason", "Transfer", "end_words"]


class HangUp(ConfiguredStruct, frozen=True, tag="hang_up", forbid_unknown_fields=True):
    """Hang up, after saying `say` if it is given."""

    say: str = ""

    def __post_init__(self) -> None:
        check_fields(self)


class Transfer(ConfiguredStruct, frozen=True, tag="transfer", forbid_unknown_fields=True):
    """Transfer the call to another number; the call is then over for us.

    Raises:
        ConfigurationError: `to` is neither a phone number nor a SIP address.
    """

    to: str
    """E.164, or a SIP address."""
    say: str = ""
    """Said to the caller first, by the carrier's voice."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not is_callable(self.to):
            raise number_error(ConfigurationError, "`to` of a transfer is not an E.164 number.", self.to)

    def __repr__(self) -> str:
        return "<Transfer>"


class ConsultResult(enum.StrEnum):
    """What came of a warm transfer: `PhoneCall.warm_transfer`."""

    JOINED = "joined"
    """Caller and human are connected; the call is over for us."""
    BUSY = "busy"
    """The caller is back with the agent, as with the next three."""
    NO_ANSWER = "no_answer"
    HUNG_UP = "hung_up"
    """The human hung up before they were connected."""
    FAILED = "failed"
    """The human could not be reached, or the carrier did not connect them."""
    CALLER_HUNG_UP = "caller_hung_up"
    """The call ended meanwhile, in whatever way."""


class Reason(enum.StrEnum):
    """Why a call ended: `CallEnded.reason`."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    HOST_HUNG_UP = "host_hung_up"
    ENGINE_FAILED = "engine_failed"
    NO_MEDIA = "no_media"
    """The carrier reported the call and never brought its audio."""
    BUSY = "busy"
    """Of an outbound call, as are the next three."""
    NO_ANSWER = "no_answer"
    CANCELED = "canceled"
    DIAL_FAILED = "dial_failed"
    MOVED = "moved"
    """Another worker has the call, and reports its events and its end: this one emits `CallMoved` instead."""
    TRANSFERRED = "transferred"
    """The carrier has connected the caller to another number."""
    VOICEMAIL = "voicemail"
    """A machine answered and was left the message."""
    ENGINE_SLOW = "engine_slow"
    """The engine was not ready in time."""
    MEDIA_LOST = "media_lost"
    """The carrier's media socket broke and did not come back."""
    MEDIA_UNUSABLE = "media_unusable"
    """The carrier streams a format that Patter cannot read."""
    TOO_LONG = "too_long"
    """The call reached `Deadlines.longest_call`."""
    CRASHED = "crashed"


FAILURES: frozenset[str] = frozenset({Reason.ENGINE_FAILED, Reason.ENGINE_SLOW, Reason.CRASHED})
"""Reasons that say that the engine, or Patter, failed the caller."""


class By(enum.StrEnum):
    """Who ended a call: `CallEnded.by`."""

    CALLER = "caller"
    AGENT = "agent"
    ENGINE = "engine"
    CARRIER = "carrier"
    HOST = "host"


_UNANSWERED = frozenset({Reason.BUSY, Reason.NO_ANSWER, Reason.CANCELED, Reason.DIAL_FAILED})


def end_words(reason: str, by: str) -> str:
    """Returns why a call ended and who ended it; without the latter for one that was not answered."""
    return reason if reason in _UNANSWERED else f"{reason} (by the {by})"
