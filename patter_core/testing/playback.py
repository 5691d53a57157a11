"""A carrier's playback, sans-IO: agent audio waits in a buffer, is played by a clock, and marks come back."""

from __future__ import annotations

from collections import deque

import msgspec

from patter_core.audio import AudioFormat

__all__ = ["PlaybackBuffer", "Played"]

_TEN_MINUTES_MS = 600_000


_PAUSE_MS = 300.0
"""Digital silence in the middle of speech."""


class Played(msgspec.Struct, frozen=True):
    """What happened in one tick of the clock."""

    frame: bytes
    """What the caller heard: exactly the time asked for, silence where there was nothing to play."""
    audio: bytes
    """Only what was played of the agent; empty if it was silent all the time."""
    marks: tuple[str, ...]
    """The marks that were reached, in order."""
    audible: bool = False
    """True if the agent was speaking: not if all of its last `_PAUSE_MS` were digital silence.

    Agents whose audio never stops send such silence between their turns.
    """


class PlaybackBuffer:
    """What a carrier has been sent and has not played yet. Audio is whole samples of one format.

    Args:
        format: of all audio here.
        max_ms: how much may wait to be played; what comes beyond is dropped and counted.
    """

    def __init__(self, format: AudioFormat, *, max_ms: float = _TEN_MINUTES_MS) -> None:
        self.format = format
        self.played_bytes = 0
        self.cleared_bytes = 0
        """What `clear` threw away."""
        self.dropped_bytes = 0
        """What came when the buffer was full."""
        self._limit = format.size(max_ms)
        self._queue = bytearray()
        self._passed = 0
        """Where playback is, in bytes since the start: what was played, and what was cleared."""
        self._silent_ms = _PAUSE_MS
        """For how long the audio has been digital silence, or missing."""
        self._marks: deque[tuple[int, str]] = deque()
        """Pending marks, in order: the place that playback has to reach, and the name."""

    @property
    def audible(self) -> bool:
        """True if something is waiting to be played."""
        return bool(self._queue)

    @property
    def duration_ms(self) -> float:
        """How long what is waiting will play, in ms."""
        return self.format.duration_ms(len(self._queue))

    def append(self, data: bytes) -> int:
        """Takes audio. Gives how many bytes of it were dropped, because the buffer is full."""
        room = self._limit - len(self._queue)
        self._queue += data[:room]
        dropped = max(0, len(data) - room)
        self.dropped_bytes += dropped
        return dropped

    def mark(self, name: str) -> list[str]:
        """Sets a mark after what is waiting. Gives the marks reached by that: this one, if nothing is waiting."""
        if not self._queue:
            return [name]
        self._marks.append((self._passed + len(self._queue), name))
        return []

    def clear(self) -> list[str]:
        """Throws away what is waiting. Gives the names of all pending marks, in order."""
        self.cleared_bytes += len(self._queue)
        self._passed += len(self._queue)
        self._queue.clear()
        names = [name for _, name in self._marks]
        self._marks.clear()
        return names

    def play(self, duration_ms: float) -> Played:
        """Lets that much time pass."""
        size = self.format.size(duration_ms)
        audio = bytes(self._queue[:size])
        del self._queue[:size]
        self.played_bytes += len(audio)
        self._passed += len(audio)
        marks = []
        while self._marks and self._marks[0][0] <= self._passed:
            marks.append(self._marks.popleft()[1])
        missing = (size - len(audio)) // self.format.sample_width
        self._silent_ms = 0.0 if audio.strip(self.format.silence) else self._silent_ms + duration_ms
        audible = bool(audio) and self._silent_ms < _PAUSE_MS
        return Played(audio + self.format.silence * missing, audio, tuple(marks), audible)
