"""What Telnyx and its peer say on a media socket, seen from Telnyx's side.

Separate from `patter_telnyx.wire` on purpose: that one reads only what it needs, this one writes every field that
Telnyx writes, and reads as strictly as Telnyx does.
"""

from __future__ import annotations

import binascii

import msgspec

from patter_core.audio import AudioFormat
from patter_core.testing.stream import Problem

__all__ = [
    "INVALID_MEDIA",
    "MALFORMED_FRAME",
    "AppMessage",
    "Clear",
    "Connected",
    "Dtmf",
    "DtmfBody",
    "ErrorBody",
    "ErrorMessage",
    "Mark",
    "MarkBody",
    "Media",
    "MediaBody",
    "MediaFormat",
    "PeerMark",
    "PeerMedia",
    "Start",
    "StartBody",
    "Stop",
    "StopBody",
    "read_app_message",
]

MALFORMED_FRAME = 100_003
INVALID_MEDIA = 100_004
SHORTEST_MS, LONGEST_MS = 20, 30_000
"""Of audio in one message."""


# --- from Telnyx ---------------------------------------------------------------------------------------------------


class _FromTelnyx(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """The base of what Telnyx says."""


class Connected(_FromTelnyx, frozen=True, kw_only=True, tag="connected"):
    version: str = "1.0.0"


class MediaFormat(msgspec.Struct, frozen=True):
    encoding: str
    sample_rate: int
    channels: int = 1


class StartBody(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str = "3e6f995f-85f7-4705-9741-53b116d28237"
    call_control_id: str
    call_session_id: str
    from_: str = msgspec.field(name="from")
    to: str
    tags: tuple[str, ...] = ()
    client_state: str = ""
    custom_parameters: dict[str, str] = {}
    media_format: MediaFormat


class Start(_FromTelnyx, frozen=True, kw_only=True, tag="start"):
    sequence_number: str
    stream_id: str
    start: StartBody


class MediaBody(msgspec.Struct, frozen=True, kw_only=True):
    track: str = "inbound"
    chunk: str
    timestamp: str
    payload: str


class Media(_FromTelnyx, frozen=True, kw_only=True, tag="media"):
    sequence_number: str
    stream_id: str
    media: MediaBody


class MarkBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class Mark(_FromTelnyx, frozen=True, kw_only=True, tag="mark"):
    sequence_number: str
    stream_id: str
    mark: MarkBody


class DtmfBody(msgspec.Struct, frozen=True):
    digit: str


class Dtmf(_FromTelnyx, frozen=True, kw_only=True, tag="dtmf"):
    stream_id: str
    occurred_at: str
    sequence_number: str
    dtmf: DtmfBody


class StopBody(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str = "3e6f995f-85f7-4705-9741-53b116d28237"
    call_control_id: str


class Stop(_FromTelnyx, frozen=True, kw_only=True, tag="stop"):
    sequence_number: str
    stream_id: str
    stop: StopBody


class ErrorBody(msgspec.Struct, frozen=True):
    code: int
    title: str
    detail: str


class ErrorMessage(_FromTelnyx, frozen=True, kw_only=True, tag="error"):
    stream_id: str
    payload: ErrorBody


# --- to Telnyx -----------------------------------------------------------------------------------------------------


class _ToTelnyx(msgspec.Struct, frozen=True, tag_field="event", forbid_unknown_fields=True):
    """The base of what Telnyx takes: no field more, no field less."""


class PeerPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payload: str


class PeerMedia(_ToTelnyx, frozen=True, tag="media"):
    media: PeerPayload

    @property
    def audio(self) -> bytes:
        return binascii.a2b_base64(self.media.payload)


class PeerMark(_ToTelnyx, frozen=True, tag="mark"):
    mark: MarkBody


class Clear(_ToTelnyx, frozen=True, tag="clear"):
    pass


AppMessage = PeerMedia | PeerMark | Clear
_APP_MESSAGE: msgspec.json.Decoder[AppMessage] = msgspec.json.Decoder(AppMessage)


def read_app_message(message: str | bytes, format: AudioFormat) -> AppMessage | Problem:
    """Reads what the app says on a socket whose agent audio has that format, with the errors that Telnyx documents."""
    if isinstance(message, bytes):
        return Problem(MALFORMED_FRAME, "binary")
    try:
        read = _APP_MESSAGE.decode(message)
    except (msgspec.DecodeError, UnicodeError) as error:
        return Problem(MALFORMED_FRAME, str(error))
    if isinstance(read, PeerMedia):
        try:
            audio = binascii.a2b_base64(read.media.payload, strict_mode=True)
        except ValueError as error:
            return Problem(INVALID_MEDIA, str(error))
        if not SHORTEST_MS <= format.duration_ms(len(audio)) <= LONGEST_MS:
            return Problem(INVALID_MEDIA, f"{format.duration_ms(len(audio)):.1f} ms of audio")
    return read
