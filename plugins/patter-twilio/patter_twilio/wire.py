"""The language of Twilio's media socket, sans-IO.

The messages are those of Twilio's page "Media Streams - WebSocket Messages". The socket says `connected`, `start`, then
`media`, `mark` and `dtmf` in any order, then `stop`. Only what we use of a message is read; fields and whole messages
that Twilio adds later pass by. Numbers come as strings and are taken either way.

A stream is in one of three states, which is all the memory there is:

    waiting    → `start`  → streaming   (the stream's id is known, and whatever names another id is a fault)
    streaming  → `stop`   → ended       (nothing is expected any more)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.errors import AudioError
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaMark,
    MediaOpened,
    MediaStopped,
    MediaUnusable,
)

__all__ = ["TwilioMediaCodec"]

LONGEST_MESSAGE = 16 * 1024
"""Characters. Twilio's own are 20 ms of audio (300 characters), and a `start` with the parameters that we gave it."""

LATE_CHUNKS = 50
"""A chunk number this little behind the newest (1 s) is a repeat or came late; farther behind, the count began anew."""

_KEYS = frozenset("0123456789*#ABCD")


# --- what Twilio says ----------------------------------------------------------------------------------------------

_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="event", rename="camel"):
    """The base of what Twilio says, told apart by `event`."""


class _Body(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a message holds under its own name."""


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


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    """Any message at all, for those that could not be read: is it one that we know?"""

    event: str


_KNOWN_EVENTS = frozenset({"connected", "start", "media", "mark", "dtmf", "stop"})
_MESSAGE = msgspec.json.Decoder(_Media | _Mark | _Dtmf | _Start | _Stop | _Connected, strict=False)
_ENVELOPE = msgspec.json.Decoder(_Envelope)
# Text with lone surrogates is no UTF-8; nesting without end is a RecursionError.
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)

_ULAW_8000 = _MediaFormat(encoding="audio/x-mulaw", sample_rate=8_000, channels=1)


# --- what can be wrong with it -------------------------------------------------------------------------------------

_BINARY = (MediaFault("binary message"),)
_TOO_LONG = (MediaFault("message too long"),)
_NOT_JSON = (MediaFault("malformed JSON"),)
_NOT_AS_DOCUMENTED = (MediaFault("message not as documented"),)
_NOT_STREAMING = (MediaFault("message outside the stream"),)
_OTHER_STREAM = (MediaFault("message of another stream"),)
_SECOND_START = (MediaFault("second start"),)
_OTHER_FORMAT = (MediaUnusable("stream in another format than 8 kHz μ-law"),)
_NOT_BASE64 = (MediaFault("audio that is not base64"),)
_LATE = (MediaFault("audio repeated or late"),)
_NO_KEY = (MediaFault("unknown key"),)


class TwilioMediaCodec(MediaCodec):
    """One media socket. Both directions are 8 kHz μ-law in base64, in messages of any length towards Twilio."""

    __slots__ = ("_before", "_clear", "_mark", "_newest", "_started", "_stream")

    def __init__(self) -> None:
        self._stream: str | None = None  # the stream's id, while it lasts
        self._started = False
        self._newest = 0  # the highest chunk number so far
        self._before = self._mark = self._clear = ""  # JSON up to a payload, up to a mark's name, and whole

    @property
    def output_format(self) -> AudioFormat:
        return ULAW_8000

    def decode(self, message: str | bytes) -> Sequence[MediaEvent]:
        if isinstance(message, bytes):
            return _BINARY
        if len(message) > LONGEST_MESSAGE:
            return _TOO_LONG
        try:
            read = _MESSAGE.decode(message)
        except _UNREADABLE:
            return _what_is_wrong(message)
        if isinstance(read, _Media) and read.stream_sid == self._stream:
            return self._audio(read.media)
        return self._other(read)

    def _audio(self, media: _MediaBody) -> Sequence[MediaEvent]:
        number = media.chunk
        if number:
            if self._newest - LATE_CHUNKS < number <= self._newest:
                return _LATE
            self._newest = number
        try:
            return (AudioChunk.from_base64(media.payload, ULAW_8000),)
        except AudioError:
            return _NOT_BASE64

    def _other(self, read: _Media | _Mark | _Dtmf | _Start | _Stop | _Connected) -> Sequence[MediaEvent]:
        if isinstance(read, _Connected):
            return ()
        if isinstance(read, _Start):
            return self._start(read)
        if read.stream_sid != self._stream:
            return _NOT_STREAMING if self._stream is None else _OTHER_STREAM
        if isinstance(read, _Mark):
            return (MediaMark(read.mark.name),)
        if isinstance(read, _Dtmf):
            return (MediaDtmf(read.dtmf.digit),) if read.dtmf.digit in _KEYS else _NO_KEY
        self._stream = None
        return (MediaStopped(),)

    def _start(self, read: _Start) -> Sequence[MediaEvent]:
        if self._started:
            return _SECOND_START
        if read.start.media_format != _ULAW_8000:
            return _OTHER_FORMAT
        self._started = True
        self._stream = read.stream_sid
        named = f'"streamSid":{_json(read.stream_sid)}'
        self._before = f'{{"event":"media",{named},"media":{{"payload":"'
        self._mark = f'{{"event":"mark",{named},"mark":{{"name":'
        self._clear = f'{{"event":"clear",{named}}}'
        return (MediaOpened(call_id=read.start.call_sid, format=ULAW_8000, parameters=read.start.custom_parameters),)

    def encode_audio(self, chunk: AudioChunk) -> str:
        if not chunk.size:
            return ""
        return f'{self._before}{chunk.base64}"}}}}'

    def encode_mark(self, name: str) -> Sequence[str]:
        return (f"{self._mark}{_json(name)}}}}}",)

    def encode_clear(self) -> Sequence[str]:
        return (self._clear,)


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _what_is_wrong(message: str) -> Sequence[MediaEvent]:
    """Tell a message that Twilio added since from one that is broken."""
    try:
        event = _ENVELOPE.decode(message).event
    except msgspec.ValidationError:
        return _NOT_AS_DOCUMENTED
    except _UNREADABLE:
        return _NOT_JSON
    return _NOT_AS_DOCUMENTED if event in _KNOWN_EVENTS else ()
