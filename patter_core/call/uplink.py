"""The caller's audio on its way to the engine.

This is half of the hot path, fifty frames a second for every call: `take` is called for each frame. It is the bound
method for what the call is doing now, so that no frame is tested for it: buffering while no engine is attached, passing
on, converting first, or dropping while the caller is on hold. There is no task, no queue and no hook here, and audio
that both sides encode alike passes as the base64 text it came as.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.converter import make_converter
from patter_core.call.meter import Meter
from patter_core.engine import EngineSession

__all__ = ["Uplink"]

_EARLY_AUDIO_MS = 2_000.0
"""How much caller audio is buffered while no engine is attached: older speech would be answered too late."""


class Uplink:
    """Carries the caller's audio to the engine's session."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.take: Callable[[AudioChunk], None] = self._buffer
        """Takes one frame of the caller. Never waits."""
        self._session: EngineSession | None = None
        self._send_audio: Callable[[AudioChunk], None] = _ignore
        self._converted: Callable[[AudioChunk], AudioChunk | None] = _nothing
        self._early: deque[AudioChunk] = deque()
        self._early_ms = 0.0

    def attach_engine(self, session: EngineSession, caller_format: AudioFormat) -> None:
        """Sends the buffered audio, then every frame, to that session."""
        self._session = session
        self._send_audio = session.send_audio
        converter = make_converter(caller_format, session.input_format)
        if converter is None:
            self.take = self._pass
        else:
            self._converted = converter.convert
            self.take = self._convert
        for chunk in self._early:
            self.take(chunk)
        self._early.clear()
        self._early_ms = 0.0

    def detach_engine(self) -> None:
        """The session is over: buffers audio for the next one."""
        self._session = None
        if self.take is not _ignore:
            self.take = self._buffer

    def mute_caller(self) -> None:
        """Drops the caller's audio, because the caller is on hold."""
        self.take = _ignore

    def unmute_caller(self) -> None:
        """The hold is over: buffers audio until an engine is attached."""
        if self.take is _ignore:
            self.take = self._buffer

    def send_dtmf(self, digit: str) -> None:
        """Tells the engine, if one is attached, that the caller pressed a key."""
        if self._session is not None:
            self._session.send_dtmf(digit)

    def _buffer(self, chunk: AudioChunk) -> None:
        self._early.append(chunk)
        self._early_ms += chunk.duration_ms
        while self._early_ms > _EARLY_AUDIO_MS:
            self._early_ms -= self._early.popleft().duration_ms
            self._meter.frames_early += 1

    def _pass(self, chunk: AudioChunk) -> None:
        meter = self._meter
        meter.frames_in += 1
        meter.bytes_in += chunk.size
        self._send_audio(chunk)

    def _convert(self, chunk: AudioChunk) -> None:
        converted = self._converted(chunk)
        if converted is not None:
            self._pass(converted)


def _ignore(chunk: AudioChunk) -> None:
    """Drops the frame."""


def _nothing(chunk: AudioChunk) -> AudioChunk | None:
    """There is no converter yet."""
