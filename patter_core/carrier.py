"""The carrier contract: what a plugin writes to bring calls from one more vendor.

A carrier has three sides, and no sockets or tasks of its own:

* **Webhooks**: `webhooks()` names handlers. The core serves each at `/webhooks/<carrier>/<name>`, builds a
  `WebhookRequest` and sends back the `WebhookResponse`. A handler first proves that the carrier sent the request, then
  asks the `CallDesk` what is to become of the call.
* **Media**: `media_codec()` gives a sans-IO codec for one media socket. The core owns the socket and both pumps.
* **Control**: commands to the vendor's API, such as `hang_up`.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.checkup import Finding
from patter_core.leg import Leg

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

    def __repr__(self) -> str:
        return f"<Admission {self.call_id}>"


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """The call is not taken."""

    reason: str
    """`busy` (limits, drain: the carrier may try elsewhere) or `rejected` (nobody wants it)."""


class CallDesk(Protocol):
    """What the core does for a webhook handler."""

    async def announce(self, leg: Leg, verified_url: str) -> Admission | Rejection:
        """Say that a call has come in. Saying it twice for one leg gives the same admission.

        Args:
            leg: the call.
            verified_url: the one of `candidate_urls` that was proved to be what the carrier asked for.
        """

    def webhook_url(self, carrier: str, webhook: str, verified_url: str) -> str:
        """The absolute public URL of another webhook of this carrier, for callbacks."""

    async def call_over(self, leg: Leg, reason: str) -> None:
        """Say that the carrier reports the call as finished, whatever its media socket does."""


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


MediaEvent = AudioChunk | MediaOpened | MediaMark | MediaDtmf | MediaStopped | MediaFault


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
        """See to it that the call is over at the carrier; its media socket is closed already. Success if it was over.

        Raises:
            CarrierRequestFailed: the carrier would not, or could not be reached.
        """

    async def check(self) -> Sequence[Finding]:
        """Look at what this configuration needs, for `patter doctor`: keys, settings at the vendor, reachability.

        Never raises for what it finds; costs nothing, and changes nothing at the vendor.
        """
        return ()
