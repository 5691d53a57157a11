"""The messages of Plivo's media socket, sans-IO.

They are those of Plivo's page "Audio streaming". The socket sends `start`, then `media`, `dtmf`, `playedStream` (a mark
that came back) and `clearedAudio` in any order. Its end is the end of the stream; a `stop` before it is not documented,
and is taken. Only the fields that are used here are read; fields and messages that Plivo adds later are ignored. Marks
that are pending at a `clearAudio` never come back, which the core expects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.errors import AudioError
from patter_core.media import MediaEvent, MediaMark, MediaOpened, MediaOutput, MediaUnusable
from patter_core.net.json import UNREADABLE, json_string
from patter_core.net.json_media import Faults, JsonMediaCodec, JsonMessages
from patter_core.telephony.leg import Leg
from patter_plivo.formats import stream_format

__all__ = ["PlivoMediaCodec"]

LONGEST_MESSAGE = 16 * 1024
"""Characters. Plivo sends 20 ms of audio (at most 1,500 characters), and a `start` with 512 bytes of headers."""
LONGEST_PAYLOAD = 12_000
"""Bytes of audio in one message to Plivo: 16 KB of base64."""
MAX_BUFFERED = 30.0
"""Seconds of agent audio that may wait at Plivo, which keeps 40 s, and drops what comes beyond."""
LATE_CHUNKS = 50
"""A chunk number at most this far behind the newest (1 s) is repeated or late; a smaller one restarts the count."""
_KEYS = frozenset("0123456789*#")
"""The keys that `sendDTMF` takes."""


# --- messages from Plivo -------------------------------------------------------------------------------------------

_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="event", rename="camel"):
    """The base of the messages; `event` is the tag."""


class _Body(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The base of the objects inside the messages."""


class _MediaFormat(_Body, frozen=True, gc=False):
    encoding: str
    sample_rate: int


class _StartBody(_Body, frozen=True):
    call_id: _Id
    stream_id: _Id
    media_format: _MediaFormat


class _Start(_Message, frozen=True, tag="start"):
    start: _StartBody
    extra_headers: msgspec.Raw = msgspec.field(default=msgspec.Raw(b'""'), name="extra_headers")


class _MediaBody(_Body, frozen=True, gc=False):
    payload: str
    chunk: int = 0


class _Media(_Message, frozen=True, gc=False, tag="media"):
    stream_id: str
    media: _MediaBody


class _Played(_Message, frozen=True, gc=False, tag="playedStream"):
    stream_id: str
    name: str


class _DtmfBody(_Body, frozen=True, gc=False):
    digit: str


class _Dtmf(_Message, frozen=True, gc=False, tag="dtmf"):
    stream_id: str
    dtmf: _DtmfBody


class _Cleared(_Message, frozen=True, gc=False, tag="clearedAudio"):
    stream_id: str


class _Stop(_Message, frozen=True, gc=False, tag="stop"):
    stream_id: str = ""


_AnyMessage = _Media | _Played | _Dtmf | _Cleared | _Start | _Stop
_DECODER: msgspec.json.Decoder[_AnyMessage] = msgspec.json.Decoder(_AnyMessage, strict=False)
_MESSAGES = JsonMessages(_DECODER, longest=LONGEST_MESSAGE)
_HEADERS = msgspec.json.Decoder(dict[str, str] | str, strict=False)
_PARAMETERS = msgspec.json.Decoder(dict[str, str], strict=False)
_MOST_PARAMETERS = 64
_OTHER_FORMAT = MediaUnusable("stream in another format than μ-law at 8 kHz, or L16 at 8, 16 or 24 kHz")


# --- the codec -----------------------------------------------------------------------------------------------------


class PlivoMediaCodec(JsonMediaCodec[_AnyMessage]):
    """One media socket: base64 both ways.

    Args:
        format: that the stream was asked for.
        leg: the call.
        on_start: is told the id that Plivo's API takes for the call.
    """

    __slots__ = ("_before", "_clear", "_leg", "_mark", "_newest", "_on_start", "_output")

    def __init__(self, format: AudioFormat, leg: Leg, on_start: Callable[[Leg, str], None]) -> None:
        super().__init__(_MESSAGES)
        self._leg = leg
        self._on_start = on_start
        longest_ms = format.duration_ms(LONGEST_PAYLOAD)
        self._output = MediaOutput(format=format, longest_ms=longest_ms, max_buffered=MAX_BUFFERED)
        self._newest = 0  # the highest chunk number so far
        name = "audio/x-mulaw" if format.encoding is Encoding.ULAW else "audio/x-l16"
        kind = f'"contentType":"{name}","sampleRate":{format.sample_rate}'
        self._before = f'{{"event":"playAudio","media":{{{kind},"payload":"'
        self._mark = self._clear = ""  # JSON up to a mark's name, and whole

    @property
    def output(self) -> MediaOutput:
        return self._output

    # --- from Plivo ------------------------------------------------------------------------------------------------

    def take(self, message: _AnyMessage) -> Sequence[MediaEvent]:
        if not isinstance(message, _Media) or message.stream_id != self._stream or self._format is None:
            return self._other(message)
        media = message.media
        number = media.chunk
        if number:
            newest = self._newest
            if newest >= number > newest - LATE_CHUNKS:
                return Faults.LATE
            self._newest = number
        try:
            return (AudioChunk.from_base64(media.payload, self._format),)
        except AudioError:
            return Faults.NOT_BASE64

    def _other(self, message: _AnyMessage) -> Sequence[MediaEvent]:
        if isinstance(message, _Start):
            return self._start(message)
        if self._stream is None or (message.stream_id != self._stream and not isinstance(message, _Stop)):
            return self.misplaced()
        match message:
            case _Played(name=name):
                return (MediaMark(name),)
            case _Dtmf():
                return self.key(message.dtmf.digit)
            case _Stop():
                return self.close_stream()
            case _:
                return ()

    def _start(self, message: _Start) -> Sequence[MediaEvent]:
        start = message.start
        format = stream_format(start.media_format.encoding, start.media_format.sample_rate)
        if format is None:
            return self.open_stream(start.stream_id, _OTHER_FORMAT)
        leg = self._leg
        call_id = leg.call_id if leg.direction == "outbound" else start.call_id
        opened = MediaOpened(call_id=call_id, format=format, parameters=_parameters(message.extra_headers))
        events = self.open_stream(start.stream_id, opened)
        if opened in events:
            stream = f'"streamId":{json_string(start.stream_id)}'
            self._mark = f'{{"event":"checkpoint",{stream},"name":'
            self._clear = f'{{"event":"clearAudio",{stream}}}'
            self._on_start(leg, start.call_id)
        return events

    # --- to Plivo --------------------------------------------------------------------------------------------------

    def encode_audio(self, chunk: AudioChunk) -> str:
        return f'{self._before}{chunk.base64}"}}}}'

    def encode_mark(self, name: str) -> Sequence[str]:
        return (f"{self._mark}{json_string(name)}}}",) if self._mark else ()

    def encode_clear(self) -> Sequence[str]:
        return (self._clear,) if self._clear else ()

    def encode_dtmf(self, digits: str) -> Sequence[str]:
        """As in the base class. Keys with a pause or a letter are left to the API (`Carrier.send_dtmf`)."""
        return (f'{{"event":"sendDTMF","dtmf":"{digits}"}}',) if _KEYS.issuperset(digits) else ()


def _parameters(raw: msgspec.Raw) -> dict[str, str]:
    """Returns what `extraHeaders` brought: an object, its text, or `a=1;b=2`. Nothing depends on it."""
    try:
        read = _HEADERS.decode(raw)
        if isinstance(read, str):
            if read.startswith("{"):
                read = _PARAMETERS.decode(read)
            else:
                pairs = (pair.partition("=") for pair in read.replace(";", ",").split(","))
                read = {name.strip(): value.strip() for name, equals, value in pairs if equals and name.strip()}
    except UNREADABLE:
        return {}
    return dict(list(read.items())[:_MOST_PARAMETERS])
