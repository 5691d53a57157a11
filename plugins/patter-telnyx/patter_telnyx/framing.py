"""Cuts agent audio into messages of 20 ms to 30 s, which Telnyx requires. Sans-IO.

A shorter piece waits for more; at the end of a turn it is padded with silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from patter_core.audio import AudioChunk, AudioFormat

__all__ = ["LONGEST_MS", "SHORTEST_MS", "Framer"]

SHORTEST_MS = 20
LONGEST_MS = 30_000


class Framer:
    """The messages of one stream, in one format."""

    __slots__ = ("_format", "_longest", "_rest", "_shortest")

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._shortest = format.size(SHORTEST_MS)
        self._longest = format.size(LONGEST_MS)
        self._rest = b""

    def push(self, chunk: AudioChunk) -> AudioChunk | None:
        """Adds audio, and returns the next message: the chunk itself if it fits, None to wait for more."""
        if not self._rest and self._shortest <= chunk.size <= self._longest:  # the usual case
            return chunk
        self._rest += chunk.data
        return self._take() if len(self._rest) >= self._shortest else None

    def finish(self) -> Iterator[AudioChunk]:
        """Yields the audio that waits, padded with silence if it is too short."""
        while self._rest:
            missing = self._shortest - len(self._rest)
            if missing > 0:
                self._rest += self._format.silence * (missing // self._format.sample_width)
            yield self._take()

    def drop(self) -> None:
        """Drops the audio that waits."""
        self._rest = b""

    def _take(self) -> AudioChunk:
        taken, self._rest = self._rest[: self._longest], self._rest[self._longest :]
        return AudioChunk(taken, self._format)
