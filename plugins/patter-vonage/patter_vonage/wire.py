"""The messages of Vonage's media socket, sans-IO (Vonage's page "WebSockets").

Audio is binary, 16-bit little-endian, in messages of exactly 20 ms. Vonage stops to play, and closes the socket, for a
message of another length. All else is JSON text. The first message has our own headers of the `connect` action beside
its own fields, which is how the socket says whose it is. A mark is a `notify` with our payload: Vonage returns it when
all audio before it was played.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from patter_core.audio import AudioFormat, Encoding
from patter_core.media import (
    MediaDtmf,
    MediaEvent,
    MediaMark,
    MediaOpened,
    MediaOutput,
    MediaUnusable,
)
from patter_core.net.json import json_string
from patter_core.net.json_media import KEYS, BinaryAudioCodec, Faults, JsonMessages

__all__ = ["FRAME_MS", "MAX_BUFFERED", "SocketHeaders", "VonageMediaCodec", "content_type"]

FRAME_MS = 20
MAX_BUFFERED = 20.0
"""Seconds. Vonage keeps 3,072 messages, which is 60 s; older pages say 20 s."""
LONGEST_MESSAGE = 16 * 1024
"""Characters of a text."""


def content_type(sample_rate: int) -> str:
    """Returns Vonage's name of an audio format."""
    return f"audio/l16;rate={sample_rate}"


_Text = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{0,300}\Z")]


class SocketHeaders(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Our headers of a media socket: they are in its first message, and in each event about it."""

    leg: _Text = msgspec.field(name="patter_leg", default="")
    """The id of the phone's leg; the socket's own leg has another one."""
    number: _Text = msgspec.field(name="patter_number", default="")
    """The account's number in the call, as Vonage writes it."""
    region: _Text = msgspec.field(name="patter_region", default="")
    """The API that has the call; "" for the usual one."""

    def __repr__(self) -> str:
        return f"<SocketHeaders {self.leg}>"


# --- messages from Vonage ------------------------------------------------------------------------------------------


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="event"):
    """The base of the messages; `event` is the tag."""


class _Connected(_Message, frozen=True, gc=False, tag="websocket:connected"):
    content_type: str = msgspec.field(name="content-type")
    leg: _Text = msgspec.field(name="patter_leg", default="")
    region: _Text = msgspec.field(name="patter_region", default="")


class _Key(msgspec.Struct, frozen=True, gc=False):
    digit: str


class _Dtmf(_Message, frozen=True, tag="websocket:dtmf"):
    digit: str = ""
    dtmf: _Key | None = None
    """An older form."""


class _Payload(msgspec.Struct, frozen=True, gc=False):
    name: str


class _Notify(_Message, frozen=True, gc=False, tag="websocket:notify"):
    payload: _Payload


class _Cleared(_Message, frozen=True, gc=False, tag="websocket:cleared"):
    pass


_AnyMessage = _Notify | _Dtmf | _Cleared | _Connected
_DECODER: msgspec.json.Decoder[_AnyMessage] = msgspec.json.Decoder(_AnyMessage)
_MESSAGES = JsonMessages(_DECODER, longest=LONGEST_MESSAGE)

_OTHER_FORMAT = MediaUnusable("stream in another format than the one that was asked for")
_OTHER_CALL = MediaUnusable("stream of another call")


# --- the codec -----------------------------------------------------------------------------------------------------


class VonageMediaCodec(BinaryAudioCodec[_AnyMessage]):
    """One media socket.

    Args:
        call_id: the phone's leg.
        sample_rate: what the stream was requested with; of both directions.
    """

    __slots__ = ("_call_id", "_content_type")

    def __init__(self, call_id: str, sample_rate: int) -> None:
        format = AudioFormat(Encoding.PCM16, sample_rate)
        super().__init__(_MESSAGES, MediaOutput(format=format, frame_ms=FRAME_MS, max_buffered=MAX_BUFFERED))
        self._call_id = call_id
        self._content_type = content_type(sample_rate)

    # --- from Vonage -----------------------------------------------------------------------------------------------

    def take(self, message: _AnyMessage) -> Sequence[MediaEvent]:
        if isinstance(message, _Connected):
            return self._connected(message)
        if self._format is None:
            return self.misplaced()
        match message:
            case _Notify(payload=payload):
                return (MediaMark(payload.name),)
            case _Dtmf(digit=digit, dtmf=older):
                digit = digit or (older.digit if older is not None else "")
                return (MediaDtmf(digit),) if digit in KEYS else Faults.UNKNOWN_KEY
            case _Cleared():
                return ()

    def _connected(self, message: _Connected) -> Sequence[MediaEvent]:
        if message.content_type.replace(" ", "").lower() != self._content_type:
            return self.open_stream("", _OTHER_FORMAT)
        if message.leg not in {"", self._call_id}:
            return self.open_stream("", _OTHER_CALL)
        parameters = {"region_url": message.region} if message.region else {}
        return self.open_stream(
            "", MediaOpened(call_id=self._call_id, format=self._output.format, parameters=parameters)
        )

    # --- to Vonage -------------------------------------------------------------------------------------------------

    def encode_mark(self, name: str) -> Sequence[str]:
        return (f'{{"action":"notify","payload":{{"name":{json_string(name)}}}}}',)

    def encode_clear(self) -> Sequence[str]:
        return ('{"action":"clear"}',)
