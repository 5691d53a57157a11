"""Gives the call's audio to the sinks that want it. Without such a sink nothing of this runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from patter_core.audio import AudioChunk
from patter_core.events import AudioCaptured
from patter_core.media import MediaEvent, Message

__all__ = ["capture_agent", "capturing_decode"]

Capture = Callable[[AudioCaptured], None]
Decode = Callable[[Message], Sequence[MediaEvent]]


def capturing_decode(decode: Decode, capture: Capture) -> Decode:
    """Returns a codec's `decode` that gives a copy of the caller's audio to `capture`, which never waits."""

    def captured(message: Message) -> Sequence[MediaEvent]:
        events = decode(message)
        for event in events:
            if type(event) is AudioChunk:
                capture(AudioCaptured(side="caller", format=event.format, base64=event.base64))
        return events

    return captured


def capture_agent(chunk: AudioChunk, capture: Capture) -> None:
    """Gives a copy of the agent's audio, which the carrier got, to `capture`."""
    capture(AudioCaptured(side="agent", format=chunk.format, base64=chunk.base64))
