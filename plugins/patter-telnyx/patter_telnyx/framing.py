"""Agent audio in messages that Telnyx takes, sans-IO: of at least 20 ms and at most 30 s each.

What is shorter waits for more, or is filled up with silence when no more is coming.
"""

from __future__ import annotations

from collections.abc import Iterator

from patter_core.audio import AudioChunk, AudioFormat

__all__ = ["LONGEST_MS", "SHORTEST_MS", "Packets"]

SHORTEST_MS = 20
LONGEST_MS = 30_000


class Packets:
    """Cuts audio of one format into messages."""

    __slots__ = ("_format", "_longest", "_rest", "_shortest")

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._shortest = format.size(SHORTEST_MS)
        self._longest = format.size(LONGEST_MS)
        self._rest = b""

    def push(self, chunk: AudioChunk) -> AudioChunk | None:
        """What can be sent now that this has come; the very chunk, if it will do. None to wait for more."""
        if not self._rest and self._shortest <= chunk.size <= self._longest:  # nearly always
            return chunk
        self._rest += chunk.data
        return self._take() if len(self._rest) >= self._shortest else None

    def finish(self) -> Iterator[AudioChunk]:
        """What waits, all of it, with silence at its end if it is too short."""
        while self._rest:
            missing = self._shortest - len(self._rest)
            if missing > 0:
                self._rest += self._format.silence * (missing // self._format.sample_width)
            yield self._take()

    def drop(self) -> None:
        """Forget what waits."""
        self._rest = b""

    def _take(self) -> AudioChunk:
        taken, self._rest = self._rest[: self._longest], self._rest[self._longest :]
        return AudioChunk(taken, self._format)
