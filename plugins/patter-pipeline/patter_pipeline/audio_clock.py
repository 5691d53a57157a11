"""When something was said, by its place in the caller's audio: not by when the frame arrived.

A carrier takes audio at an even pace, and frames come unevenly. So the frame that was least late tells when the audio
began, and each place in it follows from that. Audio that was lost makes all that follows late for good: what was least
late is forgotten after a moment, and at once if a frame is later than a frame can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from patter_core.audio import AudioFormat

__all__ = ["AudioClock"]

_WINDOW = 0.3
"""Seconds for which the frame that was least late counts: longer than frames that come in one go are apart."""
_LATEST = 0.5
"""Seconds by which a frame may be late: after that, audio was lost, or there was none."""


class AudioClock:
    """Takes the length of each piece of audio as it comes, and knows when each place in it was said.

    Args:
        format: of the audio.
        clock: monotonic, in s.
    """

    def __init__(self, format: AudioFormat, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate = format.byte_rate
        self._given = 0
        self._began = math.inf
        """When the audio began, by the frame that was least late."""
        self._least = math.inf
        """The same, of the frames since the last change."""
        self._changes_at = -math.inf

    def give(self, size: int) -> None:
        """That many bytes of audio came."""
        self._given += size
        now = self._clock()
        began = now - self._given / self._rate
        if now >= self._changes_at:
            self._changes_at = now + _WINDOW
            self._began, self._least = self._least, began
        elif began < self._least:
            self._least = began
        if began < self._began or began > self._began + _LATEST:
            self._began = began

    def newest(self) -> float:
        """Returns when the newest audio was said. It is now if none comes: a service hears silence then."""
        now, newest = self._clock(), self._began + self._given / self._rate
        return newest if newest > now - _LATEST else now

    def at(self, ago_ms: float) -> float:
        """Returns when that was said which is so far before the newest audio, in ms."""
        return min(self._clock(), self.newest() - ago_ms / 1000)

    def ago_ms(self, at: float) -> float:
        """Returns how far before the newest audio that is which was said at that time, in ms."""
        return min(self._given / self._rate, max(0.0, self.newest() - at)) * 1000
