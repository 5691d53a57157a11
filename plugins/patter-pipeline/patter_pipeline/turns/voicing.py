"""How long the caller has been speaking, and how long they have been silent, by the bare edges of speech."""

from __future__ import annotations

import math

__all__ = ["Voicing"]


class Voicing:
    """A burst of speech: words and the short gaps between them. Its length is that of its speech, without the gaps.

    So a click and a click do not make a word, and the gap before a plosive does not end one.
    """

    def __init__(self) -> None:
        self.began_at = math.inf
        """When the burst began; infinity if there is none."""
        self.ended_at = -math.inf
        """When speech ended last."""
        self._since = math.inf
        """When the speech began that goes on; infinity in a gap."""
        self._spoken = 0.0
        """Seconds of speech in the burst, before that."""
        self._forgotten_at = -math.inf
        """When speech that went on was forgotten last."""

    @property
    def is_on(self) -> bool:
        """True while there is speech."""
        return self._since < math.inf

    @property
    def is_burst(self) -> bool:
        """True in a burst, gaps included."""
        return self.began_at < math.inf

    def begin(self, at: float) -> None:
        """Speech begins. Idempotent: speech that was forgotten while it went on does not begin once more."""
        if not self.is_on and at >= self._forgotten_at:
            self._since = max(at, self.ended_at)
            self.began_at = min(self.began_at, self._since)

    def end(self, at: float) -> None:
        """Speech ends. Idempotent."""
        if self.is_on:
            self.ended_at = max(at, self._since)
            self._spoken += self.ended_at - self._since
            self._since = math.inf

    def reaches(self, seconds: float) -> float:
        """Returns when the burst will have had that much speech, if it goes on; infinity in a gap."""
        return self._since + max(0.0, seconds - self._spoken) if self.is_on else math.inf

    def has_spoken(self, now: float) -> float:
        """Returns the seconds of speech in the burst."""
        return self._spoken + (max(0.0, now - self._since) if self.is_on else 0.0)

    def quiet_at(self, seconds: float) -> float:
        """Returns when the burst will be over, after that much silence; infinity while there is speech, or no burst."""
        return self.ended_at + seconds if self.is_burst and not self.is_on else math.inf

    def forget(self, now: float) -> None:
        """The burst is over, or of no interest. Speech that goes on is the next one from its next edge."""
        if self.is_on:
            self._forgotten_at = now
        self.began_at = self._since = math.inf
        self._spoken = 0.0
