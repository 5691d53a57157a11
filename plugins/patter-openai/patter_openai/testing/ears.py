"""The voice detection of the emulated service, sans-IO: when the user spoke, in the time of the audio itself."""

from __future__ import annotations

import msgspec

from patter_core.audio import AudioFormat
from patter_core.testing import hearing
from patter_openai import wire

__all__ = ["Ears", "Heard"]

_FRAME_MS = 20
_ONSET_MS = 40
"""How much speech it takes until it is noticed."""
_SEMANTIC_MS = {"low": 900.0, "medium": 500.0, "auto": 500.0, "high": 300.0}
"""Silence after which what was said counts as complete, by eagerness: the emulator does not understand it."""


class Heard(msgspec.Struct, frozen=True):
    """The user began to speak, or stopped."""

    at_ms: int
    """In all the audio so far."""
    audio: bytes | None = None
    """What was said; None at the beginning."""


class Ears:
    """Hears the user's audio.

    Args:
        format: of the audio.
        config: how the end of a turn is found.
        before: bytes of audio that were appended before.
    """

    def __init__(self, format: AudioFormat, config: wire.TurnDetection, before: int) -> None:
        self._format = format
        self._position = before
        self._padding = 0
        if isinstance(config, wire.ServerVadConfig):
            silence = float(config.silence_duration_ms) if isinstance(config.silence_duration_ms, int) else 500.0
            self._padding = config.prefix_padding_ms if isinstance(config.prefix_padding_ms, int) else 300
        else:
            silence = _SEMANTIC_MS[config.eagerness if isinstance(config.eagerness, str) else "auto"]
        self._silence_ms = silence
        self._turns = hearing.EndOfTurn(format, silence_ms=silence)

    def feed(self, audio: bytes) -> list[Heard]:
        """Hears a piece of audio, and says what that tells."""
        size = self._format.size(_FRAME_MS)
        told: list[Heard] = []
        for start in range(0, len(audio), size):
            piece = audio[start : start + size]
            self._position += len(piece)
            now_ms = self._format.duration_ms(self._position)
            for event in self._turns.feed(piece):
                match event:
                    case hearing.SpeechStarted():
                        told.append(Heard(max(0, round(now_ms - _ONSET_MS - self._padding))))
                    case hearing.SpeechEnded(audio=said):
                        told.append(Heard(max(0, round(now_ms - self._silence_ms)), said))
        return told
