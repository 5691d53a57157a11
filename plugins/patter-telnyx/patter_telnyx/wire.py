"""The language of Telnyx's media socket, sans-IO.

The messages are those of Telnyx's page "Media streaming over WebSockets". The socket says `connected`, `start`, then
`media`, `mark`, `dtmf` and `error`, not always in order, then `stop`. Only what we use of a message is read; fields and
whole messages that Telnyx adds later pass by. Numbers come as strings and are taken either way.

What `start` announces rules how the caller is read: a leg in Europe speaks A-law where one in the US speaks μ-law, and
either read as the other is noise. What we send is what was asked for when the stream was requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
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
from patter_telnyx.formats import ByteOrder, Codec, announced_format, swapped
from patter_telnyx.framing import Packets
from patter_telnyx.reorder import Keys, Window

__all__ = ["TelnyxMediaCodec"]

LONGEST_MESSAGE = 48 * 1024
"""Characters. Telnyx's own are 20 ms of audio (300 characters in G.711, 2,600 as L16 at 48 kHz)."""

_KEYS = frozenset("0123456789*#ABCD")


# --- what Telnyx says ----------------------------------------------------------------------------------------------

_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="event"):
    """The base of what Telnyx says, told apart by `event`."""


class _Body(msgspec.Struct, frozen=True, gc=False):
    """What a message holds under its own name."""


class _Connected(_Message, frozen=True, gc=False, tag="connected"):
    pass


class _MediaFormat(_Body, frozen=True, gc=False):
    encoding: str
    sample_rate: int
    channels: int = 1


class _StartBody(_Body, frozen=True):
    call_control_id: _Id
    media_format: _MediaFormat
    custom_parameters: msgspec.Raw = msgspec.Raw(b"{}")


class _Start(_Message, frozen=True, tag="start"):
    start: _StartBody
    stream_id: str = ""


class _MediaBody(_Body, frozen=True, gc=False):
    payload: str
    chunk: int = -1
    track: str = "inbound"


class _Media(_Message, frozen=True, gc=False, tag="media"):
    media: _MediaBody
    stream_id: str = ""


class _MarkBody(_Body, frozen=True, gc=False):
    name: str


class _Mark(_Message, frozen=True, gc=False, tag="mark"):
    mark: _MarkBody
    stream_id: str = ""


class _DtmfBody(_Body, frozen=True, gc=False):
    digit: str


class _Dtmf(_Message, frozen=True, gc=False, tag="dtmf"):
    dtmf: _DtmfBody
    stream_id: str = ""
    occurred_at: str = ""


class _Stop(_Message, frozen=True, gc=False, tag="stop"):
    stream_id: str = ""


class _ErrorBody(_Body, frozen=True, gc=False):
    code: int = 0


class _Error(_Message, frozen=True, gc=False, tag="error"):
    payload: _ErrorBody = _ErrorBody()


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    """Any message at all, for those that could not be read: is it one that we know?"""

    event: str


_Known = _Media | _Mark | _Dtmf | _Start | _Stop | _Error | _Connected
_KNOWN_EVENTS = frozenset({"connected", "start", "media", "mark", "dtmf", "stop", "error"})
_MESSAGE: msgspec.json.Decoder[_Known] = msgspec.json.Decoder(_Known, strict=False)
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_PARAMETERS = msgspec.json.Decoder(dict[str, str], strict=False)
# Text with lone surrogates is no UTF-8; nesting without end is a RecursionError.
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


# --- what can be wrong with it -------------------------------------------------------------------------------------

_BINARY = (MediaFault("binary message"),)
_TOO_LONG = (MediaFault("message too long"),)
_NOT_JSON = (MediaFault("malformed JSON"),)
_NOT_AS_DOCUMENTED = (MediaFault("message not as documented"),)
_NOT_STREAMING = (MediaFault("message outside the stream"),)
_OTHER_STREAM = (MediaFault("message of another stream"),)
_SECOND_START = (MediaFault("second start"),)
_OTHER_FORMAT = (MediaUnusable("stream in a codec that is not PCMU, PCMA or L16, in mono: set stream_codec to one"),)
_NOT_BASE64 = (MediaFault("audio that is not base64"),)
_LATE = (MediaFault("audio repeated or late"),)
_LOST = MediaFault("audio lost on its way")
_NO_KEY = (MediaFault("unknown key"),)
_OTHER_TROUBLE = (MediaFault("error from Telnyx: of a kind that is not documented"),)
_TROUBLE = {
    100_002: (MediaFault("error from Telnyx: unknown (100002)"),),
    100_003: (MediaFault("error from Telnyx: malformed frame (100003)"),),
    100_004: (MediaFault("error from Telnyx: invalid media (100004)"),),
    100_005: (MediaFault("error from Telnyx: rate limit reached (100005)"),),
}


class TelnyxMediaCodec(MediaCodec):
    """One media socket.

    Args:
        codec: what agent audio is sent as; it must be what the stream was requested with.
        byte_order: of L16, in both directions.
    """

    __slots__ = ("_audio_window", "_format", "_keys", "_output", "_packets", "_started", "_stream", "_swap")

    def __init__(self, codec: Codec = Codec.PCMU, byte_order: ByteOrder = "little") -> None:
        self._output = codec.audio_format
        self._swap = byte_order == "big"
        self._packets = Packets(self._output)
        self._format: AudioFormat | None = None  # of the caller's audio, while the stream lasts
        self._stream = ""
        self._started = False
        self._audio_window: Window[AudioChunk] = Window()
        self._keys = Keys()

    @property
    def output_format(self) -> AudioFormat:
        return self._output

    def decode(self, message: str | bytes) -> Sequence[MediaEvent]:
        if isinstance(message, bytes):
            return _BINARY
        if len(message) > LONGEST_MESSAGE:
            return _TOO_LONG
        try:
            read = _MESSAGE.decode(message)
        except _UNREADABLE:
            return _what_is_wrong(message)
        if isinstance(read, _Media):
            return self._media(read)
        return self._other(read)

    # --- what the caller says --------------------------------------------------------------------------------------

    def _media(self, read: _Media) -> Sequence[MediaEvent]:
        format = self._format
        if format is None:
            return _NOT_STREAMING
        if read.stream_id != self._stream and read.stream_id:
            return _OTHER_STREAM
        try:
            chunk = AudioChunk.from_base64(read.media.payload, format)
        except AudioError:
            return _NOT_BASE64
        if self._swap and format.sample_width == 2:
            chunk = swapped(chunk)
        due = self._in_order(read.media.chunk, chunk)
        return due if not self._keys else (*due, *(MediaDtmf(digit) for digit in self._keys.frame()))

    def _in_order(self, number: int, chunk: AudioChunk) -> Sequence[MediaEvent]:
        if number < 0:
            return (chunk,)
        window = self._audio_window
        lost = window.lost
        due = window.push(number, chunk)
        if due is None:
            return _LATE
        return due if window.lost == lost else (_LOST, *due)

    # --- what else there is ----------------------------------------------------------------------------------------

    def _other(self, read: _Mark | _Dtmf | _Start | _Stop | _Error | _Connected) -> Sequence[MediaEvent]:
        match read:
            case _Connected():
                return ()
            case _Start():
                return self._start(read)
            case _Error():
                return _TROUBLE.get(read.payload.code, _OTHER_TROUBLE)
        if self._format is None:
            return _NOT_STREAMING
        if read.stream_id != self._stream and read.stream_id:
            return _OTHER_STREAM
        match read:
            case _Mark():
                return (MediaMark(read.mark.name),)
            case _Dtmf():
                return self._key(read)
            case _Stop():
                return self._stop()

    def _start(self, read: _Start) -> Sequence[MediaEvent]:
        if self._started:
            return _SECOND_START
        announced = read.start.media_format
        format = announced_format(announced.encoding, announced.sample_rate, announced.channels)
        if format is None:
            return _OTHER_FORMAT
        self._started = True
        self._format = format
        self._stream = read.stream_id
        try:
            parameters = _PARAMETERS.decode(read.start.custom_parameters)
        except _UNREADABLE:  # nothing here depends on them
            parameters = {}
        return (MediaOpened(call_id=read.start.call_control_id, format=format, parameters=parameters),)

    def _key(self, read: _Dtmf) -> Sequence[MediaEvent]:
        if read.dtmf.digit not in _KEYS:
            return _NO_KEY
        self._keys.press(read.occurred_at, read.dtmf.digit)
        return ()

    def _stop(self) -> Sequence[MediaEvent]:
        self._format = None
        rest = self._audio_window.flush()
        return (*rest, *(MediaDtmf(digit) for digit in self._keys.flush()), MediaStopped())

    # --- what we say -----------------------------------------------------------------------------------------------

    def encode_audio(self, chunk: AudioChunk) -> str:
        packet = self._packets.push(chunk)
        return "" if packet is None else self._written(packet)

    def encode_mark(self, name: str) -> Sequence[str]:
        mark = f'{{"event":"mark","mark":{{"name":{msgspec.json.encode(name).decode()}}}}}'
        return (*(self._written(packet) for packet in self._packets.finish()), mark)

    def encode_clear(self) -> Sequence[str]:
        self._packets.drop()
        return ('{"event":"clear"}',)

    def _written(self, packet: AudioChunk) -> str:
        if self._swap and self._output.sample_width == 2:
            packet = swapped(packet)
        return f'{{"event":"media","media":{{"payload":"{packet.base64}"}}}}'


def _what_is_wrong(message: str) -> Sequence[MediaEvent]:
    """Tell a message that Telnyx added since from one that is broken."""
    try:
        event = _ENVELOPE.decode(message).event
    except msgspec.ValidationError:
        return _NOT_AS_DOCUMENTED
    except _UNREADABLE:
        return _NOT_JSON
    return _NOT_AS_DOCUMENTED if event in _KNOWN_EVENTS else ()
