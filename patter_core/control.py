"""What core and carrier say to each other about a call beyond its audio: how it is dialled, and what becomes of it."""

from __future__ import annotations

import enum
import urllib.parse

import msgspec

from patter_core.cost import Cost
from patter_core.leg import Progress

__all__ = [
    "TICKET_FIELD",
    "Callbacks",
    "Capability",
    "DialRequest",
    "Farewell",
    "Handover",
    "LegFacts",
    "RecordingStatus",
    "ticket_in",
]

TICKET_FIELD = "call"
"""The query field of a callback URL that holds the call's ticket."""


class Capability(enum.StrEnum):
    """What a carrier's class can do beside answering and hanging up."""

    DIAL = "dial"
    MACHINE_DETECTION = "machine_detection"
    TRANSFER = "transfer"
    SAY = "say"
    """Speak a text with a voice of its own: for voicemail, and when the engine is lost."""
    SEND_DTMF = "send_dtmf"
    """Press keys in the network. For a carrier that cannot, the core plays the tones as audio."""
    RECORD = "record"
    HOLD = "hold"
    LOOK_UP = "look_up"
    PRICE = "price"
    """`look_up` tells the price too, some time after the call. A carrier that tells it unasked does without."""
    CONFIGURE_NUMBER = "configure_number"


class Callbacks(msgspec.Struct, frozen=True):
    """Where the carrier reaches us about one call, from whichever worker.

    Holds the call's ticket: sealed text that names the call, its agent and its options, so that any worker that gets
    it knows all of them. It is a secret, and out of `repr`.
    """

    root: str
    """The public URL of this carrier's webhooks: `https://host/prefix/webhooks/<carrier>`."""
    ticket: str
    """Letters, digits, `-`, `_` and `.`: fit for a URL or for a carrier's own field that it echoes."""

    def url(self, webhook: str) -> str:
        """The absolute URL of one of the carrier's webhooks, with the ticket in its query."""
        return f"{self.root}/{webhook}?{TICKET_FIELD}={self.ticket}"

    def __repr__(self) -> str:
        return "<Callbacks>"


def ticket_in(url: str) -> str:
    """The ticket in a callback URL; "" if there is none."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    return query.get(TICKET_FIELD, [""])[0]


class DialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is to be made. When it is answered, the carrier's webhook announces it with the ticket."""

    to_number: str
    """E.164, or a SIP address."""
    from_number: str
    """One of the account's numbers."""
    ring_timeout: float
    """Seconds."""
    machine_detection: bool = False
    """Have the carrier find out who answers, without delaying the audio."""
    await_greeting_end: bool = False
    """Have it tell of a machine when that takes a message, which is `AnsweredBy.MACHINE_READY`, not before."""
    callbacks: Callbacks
    command_id: str
    """The same for each try of this request: for carriers that use it to do a thing only once."""

    def __repr__(self) -> str:
        return f"<DialRequest {self.command_id}>"


class Farewell(msgspec.Struct, frozen=True, tag="farewell", forbid_unknown_fields=True):
    """Hang up; say something first, if there is a text."""

    text: str = ""


class Handover(msgspec.Struct, frozen=True, tag="handover", forbid_unknown_fields=True):
    """Give the call to another number, and be done with it."""

    to: str
    """E.164, or a SIP address."""
    announcement: str = ""
    """Said to the caller first."""

    def __repr__(self) -> str:
        return "<Handover>"


class RecordingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier says of a recording."""

    recording_id: str
    status: str
    """`started`, `paused`, `resumed`, `stopped` (as we asked); `completed` (it can be fetched), `absent` (nothing was
    recorded) or `failed`."""
    url: str = ""
    """Where it can be fetched, with the carrier's credentials; may hold for some minutes only. Out of `repr`."""
    duration: float = 0.0
    """Seconds; 0 while it is not known."""

    def __repr__(self) -> str:
        return f"<RecordingStatus {self.recording_id} {self.status}>"


class LegFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier's API says of a call when it is asked."""

    progress: Progress
    cost: Cost | None = None
    """What it charges for the connection, once it knows."""
