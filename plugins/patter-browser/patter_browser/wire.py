"""The messages of the page's media socket, sans-IO.

The socket's subprotocol is `patter-phone-1`. Audio is binary: 16-bit little-endian PCM, mono, at the rate that the page
was told when it called, nothing around it. The page sends 20 ms in a message; it takes messages of any length up to
100 ms. All else is JSON text, an object with a `type`:

From the page:

* `{"type": "hello", "call_id": "…", "rate": 24000}`: the first message. Whose call it is; the rate of both directions.
* `{"type": "mark", "name": "…"}`: the audio before that mark was played, as far as the ear, or was dropped by a clear.
* `{"type": "key", "digit": "5"}`: a key of the key pad.
* `{"type": "hangup"}`: the person at the page has hung up, or has left the page.

To the page:

* `{"type": "mark", "name": "…"}`: to be returned once all audio before it was played.
* `{"type": "clear"}`: drop what was not played.
* `{"type": "hangup"}`: the call is over; the socket is closed next.

A socket that breaks without `hangup` leaves the call up: the page asks at the call's `stream_url` where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from patter_core.audio import AudioFormat, Encoding
from patter_core.media import MediaEvent, MediaMark, MediaOpened, MediaOutput, MediaUnusable
from patter_core.net.json import json_string
from patter_core.net.json_media import BinaryAudioCodec, JsonMessages

__all__ = ["LONGEST_MS", "MAX_BUFFERED", "SUBPROTOCOL", "BrowserMediaCodec", "SampleRate"]

SUBPROTOCOL = "patter-phone-1"
LONGEST_MS = 100.0
"""Of one message of agent audio."""
MAX_BUFFERED = 60.0
"""Seconds of agent audio that may wait in the page, whose buffer holds 90."""
LONGEST_MESSAGE = 1_024
"""Characters of a text."""

SampleRate = Literal[16_000, 24_000]


class _Message(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    """The base of the messages; `type` is the tag."""


class _Hello(_Message, frozen=True, gc=False, tag="hello"):
    call_id: str
    rate: int


class _Mark(_Message, frozen=True, gc=False, tag="mark"):
    name: str


class _Key(_Message, frozen=True, gc=False, tag="key"):
    digit: str


class _HangUp(_Message, frozen=True, gc=False, tag="hangup"):
    pass


_AnyMessage = _Hello | _Mark | _Key | _HangUp
_MESSAGES: JsonMessages[_AnyMessage] = JsonMessages(msgspec.json.Decoder(_AnyMessage), longest=LONGEST_MESSAGE)

_OTHER_RATE = MediaUnusable("stream at another rate than the one that the page was told")


class BrowserMediaCodec(BinaryAudioCodec[_AnyMessage]):
    """One media socket.

    Args:
        sample_rate: of both directions, in Hz.
    """

    __slots__ = ()

    def __init__(self, sample_rate: int) -> None:
        format = AudioFormat(Encoding.PCM16, sample_rate)
        super().__init__(_MESSAGES, MediaOutput(format=format, longest_ms=LONGEST_MS, max_buffered=MAX_BUFFERED))

    def take(self, message: _AnyMessage) -> Sequence[MediaEvent]:
        if isinstance(message, _Hello):
            return self._hello(message)
        if self._format is None:
            return self.misplaced()
        match message:
            case _Mark(name=name):
                return (MediaMark(name),)
            case _Key(digit=digit):
                return self.key(digit)
            case _HangUp():
                return self.close_stream()

    def _hello(self, message: _Hello) -> Sequence[MediaEvent]:
        format = self._output.format
        if message.rate != format.sample_rate:
            return self.open_stream("", _OTHER_RATE)
        return self.open_stream("", MediaOpened(call_id=message.call_id, format=format))

    def encode_mark(self, name: str) -> Sequence[str]:
        return (f'{{"type":"mark","name":{json_string(name)}}}',)

    def encode_clear(self) -> Sequence[str]:
        return ('{"type":"clear"}',)

    def encode_hang_up(self) -> Sequence[str]:
        return ('{"type":"hangup"}',)
