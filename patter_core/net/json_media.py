"""The base of codecs for media sockets that speak JSON: reading, the life of the stream, and the shared faults.

A plugin describes its vendor's messages as `msgspec.Struct` classes, makes `JsonMessages` of them once, and derives its
codec from `JsonMediaCodec`, which reads a message and gives it to `take`:

    _MESSAGES = JsonMessages(msgspec.json.Decoder(Start | Audio | Stop), longest=16_384)

    class AcmeCodec(JsonMediaCodec[Start | Audio | Stop]):
        def __init__(self) -> None:
            super().__init__(_MESSAGES)

        def take(self, message: Start | Audio | Stop) -> Sequence[MediaEvent]: ...

A stream is in one of three states:

    waiting    → `open_stream`  → streaming   (`_stream` and `_format` are set)
    streaming  → `close_stream` → ended       (both are None again; a further start is a fault)

An audio message costs two calls up to the chunk, `decode` and `take`: what follows belongs into the body of `take`.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Generic, TypeVar, get_args

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import AudioError
from patter_core.media import (
    MediaCodec,
    MediaDtmf,
    MediaEvent,
    MediaFault,
    MediaOpened,
    MediaOutput,
    MediaStopped,
    MediaUnusable,
)
from patter_core.net.json import UNREADABLE

__all__ = ["KEYS", "BinaryAudioCodec", "Faults", "JsonMediaCodec", "JsonMessages"]

M = TypeVar("M")

KEYS = frozenset("0123456789*#ABCD")
"""The keys of a telephone."""


class Faults:
    """The faults that media sockets have in common, each as `decode` returns it."""

    BINARY = (MediaFault("binary message"),)
    TOO_LONG = (MediaFault("message too long"),)
    NOT_JSON = (MediaFault("malformed JSON"),)
    NOT_AS_DOCUMENTED = (MediaFault("message not as documented"),)
    NOT_STREAMING = (MediaFault("message outside the stream"),)
    OTHER_STREAM = (MediaFault("message of another stream"),)
    SECOND_START = (MediaFault("second start"),)
    NOT_BASE64 = (MediaFault("audio that is not base64"),)
    LATE = (MediaFault("audio repeated or late"),)
    UNKNOWN_KEY = (MediaFault("unknown key"),)
    HALF_A_SAMPLE = (MediaFault("audio that is not whole samples"),)


class JsonMessages(Generic[M]):
    """The messages of one protocol.

    Args:
        decoder: reads one struct, or a union of structs that a tag tells apart.
        longest: characters; a longer message is not parsed.
    """

    __slots__ = ("_tag_decoder", "_tag_field", "_tags", "decoder", "longest")

    def __init__(self, decoder: msgspec.json.Decoder[M], *, longest: int) -> None:
        self.decoder = decoder
        self.longest = longest
        kind: object = decoder.type
        configs = [struct.__struct_config__ for struct in get_args(kind) or (kind,)]
        self._tag_field = configs[0].tag_field
        self._tag_decoder = msgspec.json.Decoder(type(configs[0].tag))
        self._tags = frozenset(config.tag for config in configs)

    def fault(self, message: str) -> Sequence[MediaEvent]:
        """Returns the fault of a message that `decoder` has refused; none, if its tag is not one of this protocol."""
        try:
            fields = _OBJECT.decode(message)
            tag = None if self._tag_field is None else self._tag_decoder.decode(fields[self._tag_field])
        except (msgspec.ValidationError, KeyError):
            return Faults.NOT_AS_DOCUMENTED
        except UNREADABLE:
            return Faults.NOT_JSON
        return Faults.NOT_AS_DOCUMENTED if tag in self._tags else ()


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class JsonMediaCodec(MediaCodec, Generic[M]):
    """One media socket whose messages are JSON text."""

    __slots__ = ("_decoder", "_format", "_longest", "_messages", "_started", "_stream")

    def __init__(self, messages: JsonMessages[M]) -> None:
        self._messages = messages
        self._decoder = messages.decoder
        self._longest = messages.longest
        self._started = False
        self._stream: str | None = None
        self._format: AudioFormat | None = None

    def decode(self, message: str | bytes) -> Sequence[MediaEvent]:
        if isinstance(message, bytes):
            return Faults.BINARY
        if len(message) > self._longest:
            return Faults.TOO_LONG
        try:
            read = self._decoder.decode(message)
        except UNREADABLE:
            return self._messages.fault(message)
        return self.take(read)

    @abc.abstractmethod
    def take(self, message: M) -> Sequence[MediaEvent]:
        """Returns the events of one message. Never raises."""

    def open_stream(self, stream: str, opened: MediaOpened | MediaUnusable) -> Sequence[MediaEvent]:
        """Starts the stream of that id ("" if the vendor has none), unless it was started before or cannot be used."""
        if self._started:
            return Faults.SECOND_START
        if isinstance(opened, MediaOpened):
            self._started = True
            self._stream = stream
            self._format = opened.format
        return (opened,)

    def close_stream(self) -> Sequence[MediaEvent]:
        """Ends the stream."""
        self._stream = self._format = None
        return (MediaStopped(),)

    def misplaced(self) -> Sequence[MediaEvent]:
        """Returns the fault of a message that is not of the open stream."""
        return Faults.NOT_STREAMING if self._stream is None else Faults.OTHER_STREAM

    def key(self, digit: str) -> Sequence[MediaEvent]:
        """Returns the event of a key."""
        return (MediaDtmf(digit),) if digit in KEYS else Faults.UNKNOWN_KEY


class BinaryAudioCodec(JsonMediaCodec[M]):
    """One media socket whose audio is binary messages, with nothing around it; all else is JSON text."""

    __slots__ = ("_output",)

    def __init__(self, messages: JsonMessages[M], output: MediaOutput) -> None:
        super().__init__(messages)
        self._output = output

    @property
    def output(self) -> MediaOutput:
        return self._output

    def decode(self, message: str | bytes) -> Sequence[MediaEvent]:
        if isinstance(message, str):
            return super().decode(message)
        format = self._format
        if format is None:
            return self.misplaced()
        try:
            return (AudioChunk(message, format),) if message else Faults.HALF_A_SAMPLE
        except AudioError:
            return Faults.HALF_A_SAMPLE

    def encode_audio(self, chunk: AudioChunk) -> bytes:
        return chunk.data
