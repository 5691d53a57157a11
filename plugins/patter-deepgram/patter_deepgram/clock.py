"""Where the times of the service lie in the audio that a session was given, sans-IO."""

from __future__ import annotations

from patter_core.audio import AudioFormat

__all__ = ["AudioClock"]

_LONGEST_MS = 1e9
"""No session is as long: what a service tells beyond it is not a time."""


class AudioClock:
    """Counts the audio of one session, and the silence that was put into it while none came.

    The service's times count both; those that a session tells count the first only.
    """

    def __init__(self, format: AudioFormat) -> None:
        self.given = 0
        """Bytes of audio that the session was given."""
        self._format = format
        self._gaps: list[tuple[int, int]] = []
        """Bytes that were given before a gap, and bytes of silence in it."""

    @property
    def sent(self) -> int:
        """Bytes that the service was sent."""
        return self.given + sum(size for _, size in self._gaps)

    def fill(self, size: int) -> None:
        """Bytes of silence were sent in place of audio that did not come."""
        before = 0
        if self._gaps and self._gaps[-1][0] == self.given:
            before = self._gaps.pop()[1]
        self._gaps.append((self.given, before + size))

    def ms(self, seconds: float) -> float:
        """Returns where a time of the service lies, in ms, within the audio so far."""
        at = min(seconds * 1000, _LONGEST_MS)
        filled = 0.0
        for place, size in self._gaps:
            start, length = self._format.duration_ms(place) + filled, self._format.duration_ms(size)
            if at <= start:
                break
            filled += min(length, at - start)
        return min(max(round(at - filled, 3), 0.0), self._format.duration_ms(self.given))
