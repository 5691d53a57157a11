"""The messages of Telnyx's media socket, sans-IO.

They are those of Telnyx's page "Media streaming over WebSockets". The socket sends `connected`, `start`, then `media`,
`mark`, `dtmf` and `error`, not always in order, then `stop`. Only the fields that are used here are read; fields and
messages that Telnyx adds later are ignored. Numbers are sent as strings, and are read as either.

The caller's audio is read in the codec that `start` names: a leg in Europe uses A-law where one in the US uses
μ-law, and either read as the other is noise. Agent audio is sent in the codec that the stream was requested with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from patter_core.audio import AudioChunk
from patter_core.errors import AudioError
from patter_core.media import MediaDtmf, MediaEvent, MediaFault, MediaMark, MediaOpened, MediaOutput, MediaUnusable
from patter_core.net.json import UNREADABLE, json_string
from patter_core.net.json_media import KEYS, Faults, JsonMediaCodec, JsonMessages
from patter_telnyx.formats import ByteOrder, Codec, stream_format, swapped
from patter_telnyx.reorder import Keys, Window

__all__ = ["TelnyxMediaCodec"]

LONGEST_MESSAGE = 48 * 1024
"""Characters. Telnyx sends 20 ms of audio (300 characters in G.711, 2,600 as L16 at 48 kHz)."""
SHORTEST_MS, LONGEST_MS = 20, 30_000
"""Of a message to Telnyx."""


# --- messages from Telnyx ------------------------------------------------------------------------------------------

_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="event"):
    """The base of the messages; `event` is the tag."""


class _Body(msgspec.Struct, frozen=True, gc=False):
    """The base of the objects inside the messages."""


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


_AnyMessage = _Media | _Mark | _Dtmf | _Start | _Stop | _Error | _Connected
_DECODER: msgspec.json.Decoder[_AnyMessage] = msgspec.json.Decoder(_AnyMessage, strict=False)
_MESSAGES = JsonMessages(_DECODER, longest=LONGEST_MESSAGE)
_PARAMETERS = msgspec.json.Decoder(dict[str, str], strict=False)

_OTHER_FORMAT = MediaUnusable("stream in a codec that is not PCMU, PCMA or L16, in mono: set stream_codec to one")
_LOST = MediaFault("audio lost on its way")
_UNKNOWN_ERROR = (MediaFault("error from Telnyx: of a kind that is not documented"),)
_ERRORS = {
    100_002: (MediaFault("error from Telnyx: unknown (100002)"),),
    100_003: (MediaFault("error from Telnyx: malformed frame (100003)"),),
    100_004: (MediaFault("error from Telnyx: invalid media (100004)"),),
    100_005: (MediaFault("error from Telnyx: rate limit reached (100005)"),),
}


# --- the codec -----------------------------------------------------------------------------------------------------


class TelnyxMediaCodec(JsonMediaCodec[_AnyMessage]):
    """One media socket.

    Args:
        codec: of agent audio; the same that the stream was requested with.
        byte_order: of L16, in both directions.
    """

    __slots__ = ("_audio_window", "_is_big_endian", "_keys", "_output", "_swap")

    def __init__(self, codec: Codec = Codec.PCMU, byte_order: ByteOrder = "little") -> None:
        super().__init__(_MESSAGES)
        self._output = MediaOutput(format=codec.audio_format, shortest_ms=SHORTEST_MS, longest_ms=LONGEST_MS)
        self._is_big_endian = byte_order == "big"
        self._swap = self._is_big_endian and codec is Codec.L16
        self._audio_window: Window[AudioChunk] = Window()
        self._keys = Keys()

    @property
    def output(self) -> MediaOutput:
        return self._output

    # --- from Telnyx -----------------------------------------------------------------------------------------------

    def take(self, message: _AnyMessage) -> Sequence[MediaEvent]:
        if not isinstance(message, _Media):
            return self._other(message)
        format = self._format
        if format is None or (message.stream_id != self._stream and message.stream_id):
            return self.misplaced()
        media = message.media
        try:
            chunk = AudioChunk.from_base64(media.payload, format)
        except AudioError:
            return Faults.NOT_BASE64
        if self._is_big_endian and format.sample_width == 2:
            chunk = swapped(chunk)
        due = self._in_order(media.chunk, chunk)
        return due if not self._keys.waiting else (*due, *(MediaDtmf(digit) for digit in self._keys.frame()))

    def _in_order(self, number: int, chunk: AudioChunk) -> Sequence[MediaEvent]:
        if number < 0:
            return (chunk,)
        window = self._audio_window
        lost = window.lost
        due = window.push(number, chunk)
        if due is None:
            return Faults.LATE
        return due if window.lost == lost else (_LOST, *due)

    def _other(self, message: _Mark | _Dtmf | _Start | _Stop | _Error | _Connected) -> Sequence[MediaEvent]:
        match message:
            case _Connected():
                return ()
            case _Start():
                return self._start(message)
            case _Error():
                return _ERRORS.get(message.payload.code, _UNKNOWN_ERROR)
        if self._stream is None or (message.stream_id != self._stream and message.stream_id):
            return self.misplaced()
        match message:
            case _Mark():
                return (MediaMark(message.mark.name),)
            case _Dtmf():
                return self._dtmf(message)
            case _Stop():
                return self._stop()

    def _start(self, message: _Start) -> Sequence[MediaEvent]:
        start = message.start
        named = start.media_format
        format = stream_format(named.encoding, named.sample_rate, named.channels)
        if format is None:
            return self.open_stream(message.stream_id, _OTHER_FORMAT)
        try:
            parameters = _PARAMETERS.decode(start.custom_parameters)
        except UNREADABLE:  # nothing here depends on them
            parameters = {}
        opened = MediaOpened(call_id=start.call_control_id, format=format, parameters=parameters)
        return self.open_stream(message.stream_id, opened)

    def _dtmf(self, message: _Dtmf) -> Sequence[MediaEvent]:
        if message.dtmf.digit not in KEYS:
            return Faults.UNKNOWN_KEY
        return tuple(MediaDtmf(digit) for digit in self._keys.press(message.occurred_at, message.dtmf.digit))

    def _stop(self) -> Sequence[MediaEvent]:
        rest = self._audio_window.flush()
        return (*rest, *(MediaDtmf(digit) for digit in self._keys.flush()), *self.close_stream())

    # --- to Telnyx -------------------------------------------------------------------------------------------------

    def encode_audio(self, chunk: AudioChunk) -> str:
        if self._swap:
            chunk = swapped(chunk)
        return f'{{"event":"media","media":{{"payload":"{chunk.base64}"}}}}'

    def encode_mark(self, name: str) -> Sequence[str]:
        return (f'{{"event":"mark","mark":{{"name":{json_string(name)}}}}}',)

    def encode_clear(self) -> Sequence[str]:
        return ('{"event":"clear"}',)
