"""The carrier contract: what a plugin writes to bring calls from one more vendor.

A carrier has three sides, and no sockets or tasks of its own:

* **Webhooks**: `webhooks()` names handlers. The core serves each at `/webhooks/<carrier>/<name>`, builds a
  `WebhookRequest` and sends back the `WebhookResponse`. A handler first proves that the carrier sent the request, then
  asks the `CallDesk` what is to become of the call.
* **Media**: `media_codec()` gives a sans-IO codec for one media socket. The core owns the socket and both pumps.
* **Control**: commands to the vendor's API. `hang_up` is a must; the others are named in `capabilities`.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.checkup import Finding
from patter_core.control import (
    Callbacks,
    Capability,
    DialRequest,
    Farewell,
    Handover,
    LegFacts,
    RecordingStatus,
)
from patter_core.cost import CarrierRates, Cost
from patter_core.errors import CallError
from patter_core.leg import AnsweredBy, Leg, Progress

__all__ = [
    "CARRIER_API_VERSION",
    "Admission",
    "CallDesk",
    "Carrier",
    "MediaCodec",
    "MediaDtmf",
    "MediaEvent",
    "MediaFault",
    "MediaMark",
    "MediaOpened",
    "MediaStopped",
    "MediaUnusable",
    "Rejection",
    "WebhookHandler",
    "WebhookRequest",
    "WebhookResponse",
]

CARRIER_API_VERSION = 1


# --- webhooks ------------------------------------------------------------------------------------------------------


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request from the carrier, or the upgrade of its media socket, before anything of it is believed.

    Its `repr` shows neither the body nor the headers.
    """

    method: str
    candidate_urls: tuple[str, ...]
    """The URLs that the carrier may have asked for, likeliest first, with query. One, if the user said his public
    address; else the request's own `Host` under each scheme, since a proxy in front may have ended TLS."""
    headers: Mapping[str, str]
    """By lower-case name; repeated headers are joined by commas."""
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<WebhookRequest {self.method} {len(self.body)} bytes>"


class WebhookResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier is answered."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The call is taken: bring its audio to `media_url`."""

    call_id: str
    """Patter's own id of the call."""
    media_url: str
    """ws:// or wss://; holds the stream token in its path, so it is a secret and kept out of `repr`."""
    callbacks: Callbacks
    """Where the carrier reaches us about this call from now on."""

    def __repr__(self) -> str:
        return f"<Admission {self.call_id}>"


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """The call is not taken."""

    reason: str = "rejected"
    """`busy` (limits, drain: the carrier may try elsewhere) or `rejected` (nobody wants it)."""


class CallDesk(Protocol):
    """What the core does for a webhook handler.

    `ticket` is what the request brought back of `Callbacks.ticket`; "" for a request that had none, as the first one
    of an incoming call. A ticket that is forged or too old counts as none.
    """

    async def announce(self, leg: Leg, verified_url: str, ticket: str = "") -> Admission | Rejection | Handover:
        """Say that a call has come in, or that one we made was answered. Saying it twice gives the same admission.

        Args:
            leg: the call.
            verified_url: the one of `candidate_urls` that was proved to be what the carrier asked for.
            ticket: as above.
        """

    async def after_stream(self, leg: Leg, verified_url: str, ticket: str = "") -> Admission | Farewell | Handover:
        """Say that the media stream is over, or could not be had, while the call is not: what is to happen now?

        An admission means: bring the audio again, to its `media_url`; from then on its `callbacks` hold.
        """

    async def progress(self, leg: Leg, progress: Progress, ticket: str = "") -> None:
        """Say how far the call has come. In any order and repeatedly: what comes too late changes nothing."""

    async def answered_by(self, leg: Leg, who: AnsweredBy, ticket: str = "") -> None:
        """Say what the machine detection found out."""

    async def recording(self, leg: Leg, status: RecordingStatus, ticket: str = "") -> None:
        """Say what became of a recording; also after the call."""

    async def priced(self, leg: Leg, cost: Cost, ticket: str = "") -> None:
        """Say what the carrier charges; also after the call."""

    def first_time(self, event_id: str) -> bool:
        """Is this the first time that this worker hears of the carrier's event of that id? Asking makes it known."""

    def forget(self, event_id: str) -> None:
        """The handling of that event failed: when it comes again, it is to be taken as new."""


WebhookHandler = Callable[[WebhookRequest, CallDesk], Awaitable[WebhookResponse]]


# --- media ---------------------------------------------------------------------------------------------------------


class MediaOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The stream has started."""

    call_id: str
    """The carrier's id of the call: it must be the one the stream token names."""
    format: AudioFormat
    """Of the caller's audio."""
    parameters: dict[str, str] = {}


class MediaMark(msgspec.Struct, frozen=True):
    """A mark came back: what was sent before it has been played, or was cleared."""

    name: str


class MediaDtmf(msgspec.Struct, frozen=True):
    """A key was pressed: one of 0-9, *, #, A-D."""

    digit: str


class MediaStopped(msgspec.Struct, frozen=True):
    """The carrier ended the stream."""

    reason: str = ""


class MediaFault(msgspec.Struct, frozen=True):
    """A message that was not as it should be: counted, reported once a call for each `problem`, and passed over."""

    problem: str
    """Short and of a fixed set: what was wrong, never what the message held."""


class MediaUnusable(msgspec.Struct, frozen=True):
    """The stream began in a way that nobody here can use, such as an unknown codec: told, and the call is given up."""

    problem: str
    """As in `MediaFault`."""


MediaEvent = AudioChunk | MediaOpened | MediaMark | MediaDtmf | MediaStopped | MediaFault | MediaUnusable


class MediaCodec(abc.ABC):
    """The language of one media socket, sans-IO. One instance for each socket."""

    @property
    @abc.abstractmethod
    def output_format(self) -> AudioFormat:
        """What agent audio must be when it is encoded. Known before the stream starts."""

    @abc.abstractmethod
    def decode(self, message: str | bytes) -> Sequence[MediaEvent]:
        """Read one message. Never raises: what cannot be read is a `MediaFault`. Empty for what means nothing to us."""

    @abc.abstractmethod
    def encode_audio(self, chunk: AudioChunk) -> str:
        """Write agent audio, in `output_format`, of any length. "" if it is held back until there is more."""

    @abc.abstractmethod
    def encode_mark(self, name: str) -> Sequence[str]:
        """Ask to be told when all audio so far has been played. What `encode_audio` held back goes first."""

    @abc.abstractmethod
    def encode_clear(self) -> Sequence[str]:
        """Have the carrier drop what it has not played yet. What `encode_audio` held back is dropped with it."""


# --- the carrier ---------------------------------------------------------------------------------------------------


class Carrier(abc.ABC):
    """One vendor that brings calls. The class is the spec; an instance holds the user's frozen configuration.

    Constructing it with missing or wrong values raises `ConfigurationError`; its `repr` shows no secret.
    """

    api_version: ClassVar[int] = CARRIER_API_VERSION
    """The version of this contract that the class was written for."""
    name: ClassVar[str]
    """Lower-case, in URLs and the registry: letters, digits and hyphens."""
    emulator: ClassVar[str] = ""
    """`module:Class` of a `patter_core.testing.CarrierEmulator`, for tests and the demo; "" if there is none."""
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    """Which of the methods at the end are there."""
    stream_end_is_call_end: ClassVar[bool] = True
    """Does `MediaStopped` mean that the call is over? Otherwise it is hung up then, too."""
    asks_after_stream: ClassVar[bool] = False
    """When the media stream breaks off, does the carrier always ask what is next (`CallDesk.after_stream`)? Then the
    worker that lost the media leaves the call to whichever worker was asked. Otherwise it hangs up."""
    rates: ClassVar[CarrierRates | None] = None
    """List prices, for the estimate of a call's cost."""

    @abc.abstractmethod
    def token_secret(self) -> bytes:
        """Key material for stream tokens: a secret that all workers of this account share. Never sent anywhere."""

    @abc.abstractmethod
    def webhooks(self) -> Mapping[str, WebhookHandler]:
        """The handlers, by the last part of their URL. A handler raises `WebhookRefused` for what is not proved.

        `voice` is where a number's incoming calls are pointed.
        """

    @abc.abstractmethod
    def verify_upgrade(self, request: WebhookRequest) -> None:
        """Check the upgrade of a media socket, beyond its stream token.

        Raises:
            WebhookRefused: it does not prove that the carrier sent it.
        """

    @abc.abstractmethod
    def media_codec(self, leg: Leg) -> MediaCodec:
        """A fresh codec for one media socket of that call."""

    @abc.abstractmethod
    async def hang_up(self, leg: Leg) -> None:
        """See to it that the call is over at the carrier, ringing or answered. Success if it was over.

        Raises:
            CarrierRequestFailed: the carrier would not, or could not be reached.
        """

    # --- what `capabilities` names; each raises `CarrierRequestFailed` as `hang_up` does -----------------------------

    async def dial(self, request: DialRequest) -> str:
        """Have a call made; gives the carrier's id of it. A request that may have been taken is never sent twice.

        What becomes of it comes by webhooks, with the request's ticket: `progress` while it rings, `announce` when it
        is answered, `answered_by` if the request asks for it.
        """
        raise self._cannot(Capability.DIAL)

    async def transfer(self, leg: Leg, handover: Handover) -> None:
        """Give the call to another number, after the announcement if there is one. It may end the media stream."""
        raise self._cannot(Capability.TRANSFER)

    async def say_and_hang_up(self, leg: Leg, text: str) -> None:
        """Speak a text with the carrier's own voice, then hang up. Returns when that is taken, not when it is done."""
        raise self._cannot(Capability.SAY)

    async def send_dtmf(self, leg: Leg, digits: str) -> None:
        """Press keys: 0-9, *, #, A-D, and w for half a second of silence. The media stream goes on."""
        raise self._cannot(Capability.SEND_DTMF)

    async def hold(self, leg: Leg, audio_url: str) -> None:
        """Play that audio to the caller again and again, or silence if it is "". It may end the media stream."""
        raise self._cannot(Capability.HOLD)

    async def resume(self, leg: Leg, admission: Admission) -> None:
        """End what `hold` began, and bring the call's audio to the admission's `media_url`, if the stream was ended."""
        raise self._cannot(Capability.HOLD)

    async def start_recording(self, leg: Leg, callbacks: Callbacks) -> str:
        """Record both sides on the carrier's; gives its id of the recording. Its end comes by `CallDesk.recording`."""
        raise self._cannot(Capability.RECORD)

    async def pause_recording(self, leg: Leg, recording_id: str, *, paused: bool) -> None:
        """Pause a recording, or go on with it."""
        raise self._cannot(Capability.RECORD)

    async def stop_recording(self, leg: Leg, recording_id: str) -> None:
        """End a recording. Success if it was ended."""
        raise self._cannot(Capability.RECORD)

    async def look_up(self, leg: Leg) -> LegFacts:
        """Ask what became of the call: for its price, and when no webhook has come for too long."""
        raise self._cannot(Capability.LOOK_UP)

    async def set_voice_url(self, number: str, url: str) -> None:
        """Point a number of the account at `url`, for `serve(configure_number=True)`."""
        raise self._cannot(Capability.CONFIGURE_NUMBER)

    def require(self, capability: Capability) -> None:
        """Raise `CallError` if the carrier lacks it."""
        if capability not in self.capabilities:
            raise self._cannot(capability)

    def _cannot(self, capability: Capability) -> CallError:
        return CallError(
            f"The carrier {self.name} cannot do that.",
            expected=f"the capability {capability.value}",
            got=", ".join(sorted(one.value for one in self.capabilities)) or "none",
        )

    async def check(self) -> Sequence[Finding]:
        """Look at what this configuration needs, for `patter doctor`: keys, settings at the vendor, reachability.

        Never raises for what it finds; costs nothing, and changes nothing at the vendor.
        """
        return ()
