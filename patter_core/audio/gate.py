"""Where speech begins and ends in audio that never stops: some engines send silence, too, at the pace of real time.

Loudness is measured in windows of 10 ms, from the start of the stream on, however it is cut into chunks: the standard
deviation of the samples, so that a constant offset is silence. 20 ms cost some 6 μs in G.711 or in PCM16 at 8 kHz, and
12 μs in PCM16 at 24 kHz; of zeros, 1 μs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

import msgspec

from patter_core.audio.chunk import AudioChunk, AudioFormat
from patter_core.audio.g711 import SAMPLES
from patter_core.errors import AudioError

__all__ = ["SpeechChange", "SpeechGate"]

_WINDOW_MS = 10
_FULL_SCALE = 32_768


class SpeechChange(msgspec.Struct, frozen=True):
    """Speech began, or ended."""

    speaking: bool
    at_ms: float
    """Of audio, from the start of the stream to the first sound, or to the silence after the last one.

    It is `begin_ms` or `end_ms` before the audio by which the gate knew.
    """


class SpeechGate:
    """Tells speech from silence in one stream of audio. Sans-IO: times count the audio, not a clock.

    Args:
        format: of the audio.
        threshold_db: what is louder counts as speech. In dB of full scale: a square wave that fills it has 0 dB.
        begin_ms: speech begins once that much of it came without a pause. A click is shorter.
        end_ms: speech ends once that much silence came. A pause between two sentences is shorter.

    Both times are rounded to 10 ms.

    Raises:
        AudioError: a threshold above full scale, or a time below 10 ms.
    """

    def __init__(
        self, format: AudioFormat, *, threshold_db: float = -45.0, begin_ms: float = 60.0, end_ms: float = 800.0
    ) -> None:
        if not (threshold_db <= 0 and all(_WINDOW_MS <= ms < math.inf for ms in (begin_ms, end_ms))):
            raise AudioError("A limit of the speech gate is out of range.", expected="0 dB or less, 10 ms or more")
        samples = round(format.sample_rate * _WINDOW_MS / 1000)
        self.format = format
        self._size = samples * format.sample_width
        self._is_loud = _loudness(format, samples, 10 ** (threshold_db / 20) * _FULL_SCALE)
        self._needed = (round(begin_ms / _WINDOW_MS), round(end_ms / _WINDOW_MS))
        """Windows after which speech begins, and after which it ends."""
        self._rest = b""
        self._windows = 0
        self._run = 0
        """So many windows at the end are loud outside of speech, or silent within it."""
        self._speaking = False
        self._silent = True

    @property
    def speaking(self) -> bool:
        """True from where speech began to where it ended."""
        return self._speaking

    @property
    def silent(self) -> bool:
        """True if nothing of the latest chunk is speech, nor a sound that may become speech: it may be left out.

        What stands at its end in a window that is not full yet, less than 10 ms, was not measured.
        """
        return self._silent

    def push(self, chunk: AudioChunk) -> Sequence[SpeechChange]:
        """Takes the next chunk, of any length. Returns what changed in it, in order: nearly always nothing.

        Raises:
            AudioError: the chunk is not in the gate's format.
        """
        if chunk.format != self.format:
            raise AudioError(
                "Audio in another format than was agreed.", expected=f"{self.format}", got=f"{chunk.format}"
            )
        data = self._rest + chunk.data if self._rest else chunk.data
        changes: tuple[SpeechChange, ...] = ()
        silent = not (self._speaking or self._run)
        at = 0
        while at + self._size <= len(data):
            loud = self._is_loud(data[at : at + self._size])
            at += self._size
            self._windows += 1
            if loud:
                silent = False
            if loud is self._speaking:
                self._run = 0
                continue
            self._run += 1
            if self._run == self._needed[self._speaking]:
                self._speaking = loud
                at_ms = self.format.duration_ms((self._windows - self._run) * self._size)
                changes += (SpeechChange(loud, at_ms),)
                self._run = 0
        self._rest = data[at:]
        self._silent = silent
        return changes


def _loudness(format: AudioFormat, samples: int, level: float) -> Callable[[bytes], bool]:
    """Returns the function that says whether so many samples are louder than `level`."""
    least = samples * level**2
    silence = format.silence * samples
    unpack = struct.Struct(f"<{samples}h").unpack
    sample_of = SAMPLES[format.encoding].__getitem__ if format.encoding in SAMPLES else None

    def is_loud(window: bytes) -> bool:
        if window == silence:
            return False
        values = unpack(window) if sample_of is None else tuple(map(sample_of, window))
        return math.hypot(*values) ** 2 - sum(values) ** 2 / samples > least

    return is_loud
