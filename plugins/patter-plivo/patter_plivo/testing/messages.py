"""What Plivo and its peer say on a media socket, seen from Plivo's side.

Separate from `patter_plivo.wire` on purpose: that one reads only what it needs, this one writes every field that Plivo
writes, and reads as strictly as Plivo does.
"""

from __future__ import annotations

import binascii
import re
from typing import TypedDict

import msgspec

from patter_core.testing.stream import Problem

__all__ = [
    "AppMessage",
    "Checkpoint",
    "ClearAudio",
    "ClearedAudio",
    "Dtmf",
    "DtmfBody",
    "Media",
    "MediaBody",
    "MediaFormat",
    "Numbering",
    "PlayAudio",
    "PlayedStream",
    "SendDtmf",
    "Start",
    "StartBody",
    "Stop",
    "read_app_message",
]

LONGEST_MESSAGE = 64 * 1024
LONGEST_PAYLOAD = 16 * 1024
"""Characters of base64 in one `playAudio`."""
_DIGITS = re.compile(r"[0-9*#]+")


# --- from Plivo ----------------------------------------------------------------------------------------------------


class _FromPlivo(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", rename="camel"):
    """The base of what Plivo says."""

    sequence_number: int


class Numbering(TypedDict):
    """What each message of a stream has after its start, as keywords."""

    sequence_number: int
    stream_id: str


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int


class StartBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    call_id: str
    stream_id: str
    account_id: str
    tracks: tuple[str, ...] = ("inbound",)
    media_format: MediaFormat


class Start(_FromPlivo, frozen=True, kw_only=True, tag="start"):
    start: StartBody
    extra_headers: str = msgspec.field(default="{}", name="extra_headers")


class _OfStream(_FromPlivo, frozen=True, kw_only=True):
    stream_id: str


class MediaBody(msgspec.Struct, frozen=True, kw_only=True):
    track: str = "inbound"
    timestamp: str
    chunk: int
    payload: str


class Media(_OfStream, frozen=True, kw_only=True, tag="media"):
    media: MediaBody


class DtmfBody(msgspec.Struct, frozen=True, kw_only=True):
    track: str = "inbound"
    digit: str
    timestamp: str


class Dtmf(_OfStream, frozen=True, kw_only=True, tag="dtmf"):
    dtmf: DtmfBody


class PlayedStream(_OfStream, frozen=True, kw_only=True, tag="playedStream"):
    name: str


class ClearedAudio(_OfStream, frozen=True, kw_only=True, tag="clearedAudio"):
    pass


class Stop(_OfStream, frozen=True, kw_only=True, tag="stop"):
    reason: str = "call ended"


# --- to Plivo ------------------------------------------------------------------------------------------------------


class _ToPlivo(msgspec.Struct, frozen=True, tag_field="event", rename="camel", forbid_unknown_fields=True):
    """The base of what Plivo takes: no field more, no field less."""


class _Audio(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    content_type: str
    sample_rate: int
    payload: str


class PlayAudio(_ToPlivo, frozen=True, tag="playAudio"):
    media: _Audio

    @property
    def audio(self) -> bytes:
        return binascii.a2b_base64(self.media.payload)


class Checkpoint(_ToPlivo, frozen=True, tag="checkpoint"):
    stream_id: str
    name: str


class ClearAudio(_ToPlivo, frozen=True, tag="clearAudio"):
    stream_id: str


class SendDtmf(_ToPlivo, frozen=True, tag="sendDTMF"):
    dtmf: str


AppMessage = PlayAudio | Checkpoint | ClearAudio | SendDtmf
_APP_MESSAGE: msgspec.json.Decoder[AppMessage] = msgspec.json.Decoder(AppMessage)


def read_app_message(message: str | bytes, stream_id: str, format: MediaFormat) -> AppMessage | Problem:
    """Reads what the app says on the socket of a stream of that format."""
    if isinstance(message, bytes):
        return Problem(0, "invalid message: binary")
    if len(message) > LONGEST_MESSAGE:
        return Problem(0, f"message of {len(message)} characters")
    try:
        read = _APP_MESSAGE.decode(message)
    except (msgspec.DecodeError, UnicodeError) as error:
        return Problem(0, f"invalid message: {error}")
    if isinstance(read, PlayAudio):
        return _offence(read, format) or read
    if isinstance(read, SendDtmf):
        return read if _DIGITS.fullmatch(read.dtmf) else Problem(0, "invalid digits")
    return read if read.stream_id == stream_id else Problem(0, "another streamId")


def _offence(read: PlayAudio, format: MediaFormat) -> Problem | None:
    if (read.media.content_type, read.media.sample_rate) != (format.encoding, format.sample_rate):
        return Problem(0, f"invalid_content_type: {read.media.content_type}, {read.media.sample_rate}")
    if len(read.media.payload) > LONGEST_PAYLOAD:
        return Problem(0, f"payload of {len(read.media.payload)} characters")
    try:
        binascii.a2b_base64(read.media.payload, strict_mode=True)
    except ValueError as error:
        return Problem(0, f"payload: {error}")
    return None
