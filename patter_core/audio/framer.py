"""Cuts audio into the messages that a carrier takes: frames of one length, or pieces within limits. Sans-IO.

What is too short waits for more. Only at the end of a turn it is padded with silence: padding in the middle would be
heard inside a word.
"""

from __future__ import annotations

from collections.abc import Sequence

from patter_core.audio.chunk import AudioChunk, AudioFormat
from patter_core.errors import AudioError

__all__ = ["Framer"]


class Framer:
    """The messages of one stream, in one format.

    Args:
        format: of the audio.
        frame_ms: the length of each message; 0 for any length within the other two.
        shortest_ms: of a message; 0 for no limit.
        longest_ms: of a message; 0 for no limit.

    Raises:
        AudioError: the limits contradict each other, or are shorter than a sample.
    """

    __slots__ = ("_format", "_longest", "_rest", "_shortest")

    def __init__(
        self, format: AudioFormat, *, frame_ms: float = 0.0, shortest_ms: float = 0.0, longest_ms: float = 0.0
    ) -> None:
        self._format = format
        self._shortest = format.size(frame_ms or shortest_ms) or format.sample_width
        self._longest = format.size(frame_ms or longest_ms) if frame_ms or longest_ms else None
        self._rest = b""
        if self._longest is not None and not self._shortest <= self._longest:
            raise AudioError(
                "The limits of a carrier's messages allow none.",
                expected="frame_ms, or shortest_ms up to longest_ms, of at least a sample",
                got=f"{frame_ms:g}, {shortest_ms:g} and {longest_ms:g} ms",
            )

    @property
    def waiting(self) -> int:
        """Bytes that wait for more."""
        return len(self._rest)

    def push(self, chunk: AudioChunk) -> Sequence[AudioChunk]:
        """Adds audio; returns the messages that are due. A chunk that is one by itself is returned as it is."""
        size, longest = chunk.size, self._longest
        if not self._rest and size >= self._shortest and (longest is None or size <= longest):
            return (chunk,)
        self._rest += chunk.data
        return self._take()

    def finish(self) -> Sequence[AudioChunk]:
        """Returns what waits, padded with silence if it is too short: the turn is over."""
        missing = self._shortest - len(self._rest)
        if self._rest and missing > 0:
            self._rest += self._format.silence * (missing // self._format.sample_width)
        return self._take()

    def drop(self) -> None:
        """Drops what waits."""
        self._rest = b""

    def _take(self) -> Sequence[AudioChunk]:
        rest, longest, pieces, at = self._rest, self._longest, list[bytes](), 0
        if longest is not None:
            while len(rest) - at >= longest:
                pieces.append(rest[at : at + longest])
                at += longest
        if len(rest) - at >= self._shortest:
            pieces.append(rest[at:])
            at = len(rest)
        self._rest = rest[at:]
        return [AudioChunk(piece, self._format) for piece in pieces]
