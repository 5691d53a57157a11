"""What Twilio and its peer say on a media socket, seen from Twilio's side.

Separate from `patter_twilio.wire` on purpose: that one reads only what it needs, this one writes every field that
Twilio writes, and reads as strictly as Twilio does.
"""

from __future__ import annotations

import binascii
from typing import TypedDict

import msgspec

from patter_core.testing.stream import Problem

__all__ = [
    "AppMessage",
    "Clear",
    "Connected",
    "Dtmf",
    "DtmfBody",
    "Mark",
    "MarkBody",
    "Media",
    "MediaBody",
    "Numbering",
    "PeerMark",
    "PeerMedia",
    "Start",
    "StartBody",
    "Stop",
    "StopBody",
    "read_app_message",
]


# --- from Twilio ---------------------------------------------------------------------------------------------------


class _FromTwilio(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", rename="camel"):
    """The base of what Twilio says."""


class Numbering(TypedDict):
    """What each message of a stream has, as keywords."""

    sequence_number: str
    stream_sid: str


class _Numbered(_FromTwilio, frozen=True, kw_only=True):
    sequence_number: str
    stream_sid: str


class Connected(_FromTwilio, frozen=True, kw_only=True, tag="connected"):
    protocol: str = "Call"
    version: str = "1.0.0"


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    encoding: str = "audio/x-mulaw"
    sample_rate: int = 8_000
    channels: int = 1


class StartBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    account_sid: str
    stream_sid: str
    call_sid: str
    tracks: tuple[str, ...] = ("inbound",)
    media_format: MediaFormat = MediaFormat()
    custom_parameters: dict[str, str] = {}


class Start(_Numbered, frozen=True, kw_only=True, tag="start"):
    start: StartBody


class MediaBody(msgspec.Struct, frozen=True, kw_only=True):
    track: str = "inbound"
    chunk: str
    timestamp: str
    payload: str


class Media(_Numbered, frozen=True, kw_only=True, tag="media"):
    media: MediaBody


class MarkBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class Mark(_Numbered, frozen=True, kw_only=True, tag="mark"):
    mark: MarkBody


class DtmfBody(msgspec.Struct, frozen=True, kw_only=True):
    track: str = "inbound_track"
    digit: str


class Dtmf(_Numbered, frozen=True, kw_only=True, tag="dtmf"):
    dtmf: DtmfBody


class StopBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    account_sid: str
    call_sid: str


class Stop(_Numbered, frozen=True, kw_only=True, tag="stop"):
    stop: StopBody


# --- to Twilio -----------------------------------------------------------------------------------------------------


class _ToTwilio(msgspec.Struct, frozen=True, tag_field="event", rename="camel", forbid_unknown_fields=True):
    """The base of what Twilio takes: no field more, no field less."""

    stream_sid: str


class PeerPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payload: str


class PeerMedia(_ToTwilio, frozen=True, tag="media"):
    media: PeerPayload

    @property
    def audio(self) -> bytes:
        return binascii.a2b_base64(self.media.payload)


class PeerMark(_ToTwilio, frozen=True, tag="mark"):
    mark: MarkBody


class Clear(_ToTwilio, frozen=True, tag="clear"):
    pass


AppMessage = PeerMedia | PeerMark | Clear
_APP_MESSAGE = msgspec.json.Decoder(AppMessage)


def read_app_message(message: str | bytes, stream_sid: str) -> AppMessage | Problem:
    """Reads what the app says on the socket of that stream, with the errors that Twilio documents for it."""
    if isinstance(message, bytes):
        return Problem(31950, "Stream - Protocol - Invalid Message: binary")
    try:
        read: AppMessage = _APP_MESSAGE.decode(message)
        if isinstance(read, PeerMedia):
            binascii.a2b_base64(read.media.payload, strict_mode=True)
    except (msgspec.DecodeError, ValueError) as error:
        return Problem(31951, f"Stream - Protocol - Invalid Message: {error}")
    if read.stream_sid != stream_sid:
        return Problem(31951, "Stream - Protocol - Invalid Message: another streamSid")
    return read
