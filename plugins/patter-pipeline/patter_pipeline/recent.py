"""The last seconds of the caller's audio, as bytes.

Hundreds of chunks would take several times the memory, and the time of each garbage collection: all calls wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from patter_core.audio import AudioChunk, AudioFormat

__all__ = ["Recent"]

_LONGEST_MS = 8_000.0
_SPARE_MS = 1_000.0
"""What is too old is forgotten by the second: each time moves the rest."""
_CHUNK_MS = 20.0


class Recent:
    """Keeps the last 8 s.

    Args:
        format: of the audio.
    """

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self._kept = bytearray()
        self._longest = format.size(_LONGEST_MS)
        self._full = format.size(_LONGEST_MS + _SPARE_MS)

    def keep(self, chunk: AudioChunk) -> None:
        """Takes the next audio."""
        self._kept += chunk.data
        if len(self._kept) > self._full:
            del self._kept[: -self._longest]

    def forget_before(self, duration_ms: float) -> None:
        """Only the last of it counts from now on."""
        del self._kept[: self._start(duration_ms)]

    def last(self, duration_ms: float) -> bytes:
        """Returns what came in that time, or as much of it as there is."""
        return bytes(self._kept[self._start(duration_ms) :])

    def chunks(self, duration_ms: float) -> Iterator[AudioChunk]:
        """Iterates over what came in that time, in chunks of 20 ms."""
        audio, size = self.last(duration_ms), self.format.size(_CHUNK_MS)
        for at in range(0, len(audio), size):
            yield AudioChunk(audio[at : at + size], self.format)

    def _start(self, duration_ms: float) -> int:
        longest_ms = min(duration_ms, _LONGEST_MS)
        return max(0, len(self._kept) - self.format.size(longest_ms))
