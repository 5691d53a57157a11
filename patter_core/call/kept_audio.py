"""Agent audio that waits in front of the carrier, cut as the carrier wants it. Sans-IO."""

from __future__ import annotations

import math

from patter_core.audio import AudioChunk
from patter_core.audio.framer import Framer
from patter_core.media import MediaOutput

__all__ = ["KeptAudio"]

_LONGEST_PIECE = 1.0
"""Seconds of audio in one message, at most, where the carrier keeps only so much; and a quarter of that."""


class KeptAudio:
    """Pieces of audio in order, and the places between them where a mark is set.

    Args:
        output: what the carrier takes.
    """

    def __init__(self, output: MediaOutput) -> None:
        self._framer = _framer(output)
        self._pieces: list[AudioChunk | None] = []  # a deque holds 760 bytes where mostly nothing waits
        """None: here a mark is set."""

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def is_cut(self) -> bool:
        """True if the carrier does not take audio as it comes."""
        return self._framer is not None

    @property
    def next_size(self) -> int:
        """Bytes of the first piece; 0 for a mark. There must be something."""
        piece = self._pieces[0]
        return 0 if piece is None else piece.size

    def pop(self) -> AudioChunk | None:
        """Takes the first piece out; None for a mark."""
        return self._pieces.pop(0)

    def put_back(self, piece: AudioChunk) -> None:
        """The first piece could not be sent."""
        self._pieces.insert(0, piece)

    def push(self, chunk: AudioChunk) -> None:
        """Adds audio of any length. What is too short for a piece waits for more."""
        self._pieces.extend((chunk,) if self._framer is None else self._framer.push(chunk))

    def fill(self) -> int:
        """Fills what waits up to a whole piece. Returns how many bytes of silence that took."""
        if self._framer is None:
            return 0
        waiting = self._framer.waiting
        filled = self._framer.finish()
        self._pieces.extend(filled)
        return sum(piece.size for piece in filled) - waiting

    def push_mark(self) -> None:
        """A mark is set here."""
        self._pieces.append(None)

    def clear(self) -> None:
        """Drops everything."""
        self.keep_only(0)

    def keep_only(self, size: int) -> None:
        """Drops what is behind the first `size` bytes, and a mark that follows them at once."""
        count = at = 0
        while size and count < len(self._pieces) and (at < size or self._pieces[count] is None):
            piece = self._pieces[count]
            at += 0 if piece is None else piece.size
            count += 1
        del self._pieces[count:]
        if self._framer is not None:
            self._framer.drop()


def _framer(output: MediaOutput) -> Framer | None:
    """Returns what cuts the audio; None if the carrier takes it as it comes."""
    shortest, longest = output.shortest_ms, output.longest_ms
    if output.frame_ms:
        return Framer(output.format, frame_ms=output.frame_ms, shortest_ms=shortest, longest_ms=longest)
    if output.max_buffered < math.inf:
        most = min(_LONGEST_PIECE, output.max_buffered / 4) * 1000
        longest = max(shortest, min(longest or math.inf, most))
    return Framer(output.format, shortest_ms=shortest, longest_ms=longest) if shortest or longest else None
