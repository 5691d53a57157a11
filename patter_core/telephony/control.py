"""What the core and a carrier exchange about a call beside its audio: requests, capabilities, facts."""

from __future__ import annotations

import enum
import urllib.parse

import msgspec

from patter_core.telephony.leg import Progress
from patter_core.telephony.prices import Cost

__all__ = [
    "TOKEN_FIELD",
    "Callbacks",
    "Capability",
    "DialRequest",
    "LegFacts",
    "RecordingStatus",
    "callback_token",
    "webhook_root",
]

TOKEN_FIELD = "call"  # noqa: S105 - the name of a field, not a secret
"""The query field of a callback URL that holds the call's callback token."""


class Capability(enum.StrEnum):
    """What a carrier can do beside answering and hanging up."""

    DIAL = "dial"
    MACHINE_DETECTION = "machine_detection"
    """Find out whether a machine answers. Without `HUMAN_DETECTION` only a machine is reported, never a human."""
    HUMAN_DETECTION = "human_detection"
    """Machine detection reports humans, too."""
    TRANSFER = "transfer"
    SAY = "say"
    """Speak a text with the carrier's own voice: for voicemail, and when the engine is lost."""
    NOTICE = "notice"
    """Say `Accept.notice` to the caller, to its end, before bringing their audio. Without it the agent says it."""
    SEND_DTMF = "send_dtmf"
    """Send keys in the network. Without it the core plays the tones as audio."""
    RECORD = "record"
    PAUSE_RECORDING = "pause_recording"
    """Pause a recording, and go on with the same one. Without it a recording is stopped, and another one started."""
    HOLD = "hold"
    CONNECT = "connect"
    """Tell who answers a consult leg its brief (`RoutedCall.briefing`), and connect two legs: for warm transfers."""
    LOOK_UP = "look_up"
    PRICE = "price"
    """`look_up` gives the price too, some time after the call. Not needed by a carrier that reports it by webhook."""
    CONFIGURE_NUMBER = "configure_number"

    @property
    def in_words(self) -> str:
        """What it is to do, for errors: `make calls`."""
        return _IN_WORDS[self]


_IN_WORDS = {
    Capability.DIAL: "make calls",
    Capability.MACHINE_DETECTION: "find out whether a machine answers",
    Capability.HUMAN_DETECTION: "report that a human answers",
    Capability.TRANSFER: "transfer calls",
    Capability.SAY: "speak a text with a voice of its own",
    Capability.NOTICE: "say a notice before the agent",
    Capability.SEND_DTMF: "send keys",
    Capability.RECORD: "record calls",
    Capability.PAUSE_RECORDING: "pause a recording",
    Capability.HOLD: "put a caller on hold",
    Capability.CONNECT: "connect two calls with each other",
    Capability.LOOK_UP: "be asked whether a call is over",
    Capability.PRICE: "be asked what a call cost",
    Capability.CONFIGURE_NUMBER: "point a number at an address",
}


class Callbacks(msgspec.Struct, frozen=True):
    """Where the carrier reaches us about one call.

    Holds the call's callback token: sealed text that names the call, its agent and its options, so that every worker
    that receives it knows them. It is a secret, and not part of `repr`.
    """

    root: str
    """The public URL of this carrier's webhooks: `https://host/prefix/webhooks/<carrier>`."""
    token: str
    """Letters, digits, `-`, `_` and `.`: fit for a URL, or for a field that the carrier echoes."""

    def url(self, webhook: str) -> str:
        """The absolute URL of one of the carrier's webhooks, with the callback token in its query."""
        return f"{self.root}/{webhook}?{TOKEN_FIELD}={self.token}"

    def __repr__(self) -> str:
        return "<Callbacks>"


def webhook_root(base: str, carrier: str) -> str:
    """Returns the public URL that a carrier's webhooks begin with."""
    return f"{base}/webhooks/{carrier}"


def callback_token(url: str) -> str:
    """Returns the callback token in a URL; "" if there is none."""
    query = urllib.parse.parse_qs(url.partition("?")[2])
    return query.get(TOKEN_FIELD, [""])[0]


class DialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An outbound call to be made. When it is answered, the carrier's webhook brings back the callback token."""

    to_number: str
    """E.164, or a SIP address."""
    from_number: str
    """One of the account's numbers."""
    ring_timeout: float
    """Seconds."""
    machine_detection: bool = False
    """Detect who answers, without delaying the audio."""
    await_greeting_end: bool = False
    """Report a machine only when it takes a message, which is `AnsweredBy.MACHINE_READY`."""
    callbacks: Callbacks
    command_id: str
    """The same for each try of this request: an idempotency key."""

    def __repr__(self) -> str:
        return f"<DialRequest {self.command_id}>"


class RecordingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a carrier's recording."""

    recording_id: str
    status: str
    """`started`, `paused`, `resumed`, `stopped` (as we asked); `completed` (it can be fetched), `absent` (nothing was
    recorded) or `failed`."""
    url: str = ""
    """Where it can be fetched, with the carrier's credentials; may expire after minutes. Not part of `repr`."""
    duration: float = 0.0
    """Seconds; 0 if unknown."""

    def __repr__(self) -> str:
        return f"<RecordingStatus {self.recording_id} {self.status}>"


class LegFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier's API reports of a call."""

    progress: Progress
    cost: Cost | None = None
    """What it charges for the connection, once known."""
