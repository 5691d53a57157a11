"""The messages of Twilio's media socket, sans-IO.

They are those of Twilio's page "Media Streams - WebSocket Messages". The socket sends `connected`, `start`, then
`media`, `mark` and `dtmf` in any order, then `stop`. Only the fields that are used here are read; fields and messages
that Twilio adds later are ignored. Numbers are sent as strings, and are read as either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.errors import AudioError
from patter_core.media import MediaEvent, MediaMark, MediaOpened, MediaOutput, MediaUnusable
from patter_core.net.json import json_string
from patter_core.net.json_media import Faults, JsonMediaCodec, JsonMessages

__all__ = ["TwilioMediaCodec"]

LONGEST_MESSAGE = 16 * 1024
"""Characters. Twilio sends 20 ms of audio (300 characters), and a `start` with the parameters that we passed."""

LATE_CHUNKS = 50
"""A chunk number at most this far behind the newest (1 s) is repeated or late; a smaller one restarts the count."""


# --- messages from Twilio ------------------------------------------------------------------------------------------

_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="event", rename="camel"):
    """The base of the messages; `event` is the tag."""


class _Body(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The base of the objects inside the messages."""


class _Connected(_Message, frozen=True, gc=False, tag="connected"):
    pass


class _MediaFormat(_Body, frozen=True, gc=False):
    encoding: str
    sample_rate: int
    channels: int = 1


class _StartBody(_Body, frozen=True):
    call_sid: _Id
    media_format: _MediaFormat
    custom_parameters: dict[str, str] = {}


class _Start(_Message, frozen=True, tag="start"):
    stream_sid: _Id
    start: _StartBody


class _MediaBody(_Body, frozen=True, gc=False):
    payload: str
    chunk: int = 0


class _Media(_Message, frozen=True, gc=False, tag="media"):
    stream_sid: str
    media: _MediaBody


class _MarkBody(_Body, frozen=True, gc=False):
    name: str


class _Mark(_Message, frozen=True, gc=False, tag="mark"):
    stream_sid: str
    mark: _MarkBody


class _DtmfBody(_Body, frozen=True, gc=False):
    digit: str


class _Dtmf(_Message, frozen=True, gc=False, tag="dtmf"):
    stream_sid: str
    dtmf: _DtmfBody


class _Stop(_Message, frozen=True, gc=False, tag="stop"):
    stream_sid: str


_AnyMessage = _Media | _Mark | _Dtmf | _Start | _Stop | _Connected
_DECODER: msgspec.json.Decoder[_AnyMessage] = msgspec.json.Decoder(_AnyMessage, strict=False)
_MESSAGES = JsonMessages(_DECODER, longest=LONGEST_MESSAGE)

_ULAW_8000 = _MediaFormat(encoding="audio/x-mulaw", sample_rate=8_000, channels=1)
_OUTPUT = MediaOutput(format=ULAW_8000)
_OTHER_FORMAT = MediaUnusable("stream in another format than 8 kHz μ-law")


# --- the codec -----------------------------------------------------------------------------------------------------


class TwilioMediaCodec(JsonMediaCodec[_AnyMessage]):
    """One media socket: 8 kHz μ-law in base64 both ways, in messages of any length towards Twilio."""

    __slots__ = ("_before", "_clear", "_mark", "_newest")

    def __init__(self) -> None:
        super().__init__(_MESSAGES)
        self._newest = 0  # the highest chunk number so far
        self._before = self._mark = self._clear = ""  # JSON up to a payload, up to a mark's name, and whole

    @property
    def output(self) -> MediaOutput:
        return _OUTPUT

    def take(self, message: _AnyMessage) -> Sequence[MediaEvent]:
        if not isinstance(message, _Media) or message.stream_sid != self._stream:
            return self._other(message)
        media = message.media
        number = media.chunk
        if number:
            newest = self._newest
            if newest >= number > newest - LATE_CHUNKS:
                return Faults.LATE
            self._newest = number
        try:
            return (AudioChunk.from_base64(media.payload, ULAW_8000),)
        except AudioError:
            return Faults.NOT_BASE64

    def _other(self, message: _AnyMessage) -> Sequence[MediaEvent]:
        if isinstance(message, _Connected):
            return ()
        if isinstance(message, _Start):
            return self._start(message)
        if message.stream_sid != self._stream:
            return self.misplaced()
        if isinstance(message, _Mark):
            return (MediaMark(message.mark.name),)
        if isinstance(message, _Dtmf):
            return self.key(message.dtmf.digit)
        return self.close_stream()

    def _start(self, message: _Start) -> Sequence[MediaEvent]:
        start = message.start
        if start.media_format != _ULAW_8000:
            return self.open_stream(message.stream_sid, _OTHER_FORMAT)
        opened = MediaOpened(call_id=start.call_sid, format=ULAW_8000, parameters=start.custom_parameters)
        events = self.open_stream(message.stream_sid, opened)
        if opened in events:
            stream = f'"streamSid":{json_string(message.stream_sid)}'
            self._before = f'{{"event":"media",{stream},"media":{{"payload":"'
            self._mark = f'{{"event":"mark",{stream},"mark":{{"name":'
            self._clear = f'{{"event":"clear",{stream}}}'
        return events

    def encode_audio(self, chunk: AudioChunk) -> str:
        return f'{self._before}{chunk.base64}"}}}}'

    def encode_mark(self, name: str) -> Sequence[str]:
        return (f"{self._mark}{json_string(name)}}}}}",)

    def encode_clear(self) -> Sequence[str]:
        return (self._clear,)
