"""Gives the call's audio to the sinks that want it: a codec around the carrier's.

Without such a sink the carrier's codec is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from patter_core.audio import AudioChunk
from patter_core.events import AudioCaptured
from patter_core.media import MediaCodec, MediaEvent, MediaOutput, Message

__all__ = ["CapturingCodec"]


class CapturingCodec(MediaCodec):
    """The carrier's codec, which passes on a copy of all audio.

    Args:
        codec: the carrier's.
        capture: takes the audio of each frame; never waits.
    """

    def __init__(self, codec: MediaCodec, capture: Callable[[AudioCaptured], None]) -> None:
        self._codec = codec
        self._capture = capture

    @property
    def output(self) -> MediaOutput:
        return self._codec.output

    def decode(self, message: Message) -> Sequence[MediaEvent]:
        events = self._codec.decode(message)
        for event in events:
            if type(event) is AudioChunk:
                self._capture(AudioCaptured(side="caller", format=event.format, base64=event.base64))
        return events

    def encode_audio(self, chunk: AudioChunk) -> Message:
        self._capture(AudioCaptured(side="agent", format=chunk.format, base64=chunk.base64))
        return self._codec.encode_audio(chunk)

    def encode_mark(self, name: str) -> Sequence[Message]:
        return self._codec.encode_mark(name)

    def encode_clear(self) -> Sequence[Message]:
        return self._codec.encode_clear()

    def encode_dtmf(self, digits: str) -> Sequence[Message]:
        return self._codec.encode_dtmf(digits)

    def encode_hang_up(self) -> Sequence[Message]:
        return self._codec.encode_hang_up()
