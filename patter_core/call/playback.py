"""What the caller has heard, by marks. Sans-IO: `now` is a monotonic clock, in s.

Agent audio arrives faster than real time and waits in the carrier's buffer, so that sent is not heard. A mark asks the
carrier to say when everything before it has been played. There is one after each half second of audio and one at the
end of each turn; as long as one is out, the agent is speaking. A clear returns every mark at once, which means nothing:
so a mark's name begins with an epoch, and each clear begins a new one.
"""

from __future__ import annotations

from collections import deque

import msgspec

from patter_core.events import ResponseHeard

__all__ = ["MARK_EVERY_MS", "Playback"]

MARK_EVERY_MS = 500.0
"""Of audio between two marks: how exactly “heard” is known, against one more message in each direction."""


class _Mark(msgspec.Struct, frozen=True):
    name: str
    at_ms: float
    """All audio sent before it."""
    ends_turn: bool


class Playback:
    """The agent's audio at the carrier, as sums of ms since the call began."""

    def __init__(self) -> None:
        self.sent_ms = 0.0
        """Audio sent and not voided by a clear."""
        self.heard_ms = 0.0
        """Audio known to be played."""
        self.late = 0
        """How often audio came after what was before it in its turn had been played: the caller heard a gap."""
        self._marked_ms = 0.0
        self._turn_ms = 0.0
        self._turn_marked_ms = 0.0
        self._ends_at = 0.0
        self._epoch = 0
        self._number = 0
        self._pending: deque[_Mark] = deque()

    @property
    def speaking(self) -> bool:
        """True while there is agent audio that is not known to have been played."""
        return self.heard_ms < self.sent_ms

    @property
    def ends_at(self) -> float:
        """When what was sent will have been played, by the clock."""
        return self._ends_at

    def sent(self, duration_ms: float, now: float, *, held: bool = False) -> str | None:
        """Agent audio goes out; a mark of that name must follow it, if one is given.

        None is given while the codec holds audio back: a mark would have it cut there, in the middle of a word.
        """
        ends_at = self._ends_at
        if ends_at < now:
            if self.sent_ms > self._turn_marked_ms:
                self.late += 1
            ends_at = now
        self._ends_at = ends_at + duration_ms / 1000
        self.sent_ms += duration_ms
        if self.sent_ms - self._marked_ms < MARK_EVERY_MS or held:
            return None
        return self._mark(ends_turn=False)

    def turn_ended(self) -> str | None:
        """The agent's turn is complete; a mark of that name must follow, if anything was sent in it."""
        if self.sent_ms == self._turn_marked_ms:
            return None
        self._turn_marked_ms = self.sent_ms
        return self._mark(ends_turn=True)

    def probe(self) -> str:
        """Returns the name of a mark that asks only whether the carrier is still there."""
        return self._mark(ends_turn=False)

    def returned(self, name: str) -> ResponseHeard | None:
        """A mark came back. Returns how much of a turn was heard, if the mark was at its end.

        An unknown mark, or one from before a clear, means nothing.
        """
        pending = self._pending
        if not any(mark.name == name for mark in pending):
            return None
        heard = None
        while pending:
            mark = pending.popleft()
            self.heard_ms = mark.at_ms
            if mark.ends_turn:
                heard = ResponseHeard(heard_ms=mark.at_ms - self._turn_ms, sent_ms=mark.at_ms - self._turn_ms)
                self._turn_ms = mark.at_ms
            if mark.name == name:
                break
        return heard

    def cleared(self, now: float) -> ResponseHeard | None:
        """Everything not yet played is void. Returns how much of the turn was heard, if it was being played.

        That is at least what the marks say; beyond them it is what the clock says the carrier has had time to play.
        """
        was_speaking = self.speaking
        sent = self.sent_ms - self._turn_ms
        waiting_ms = max(0.0, self._ends_at - now) * 1000
        self.heard_ms = max(self.heard_ms, self.sent_ms - waiting_ms)
        heard = max(0.0, self.heard_ms - self._turn_ms)
        self.sent_ms = self._marked_ms = self._turn_ms = self._turn_marked_ms = self.heard_ms
        self._ends_at = now
        self._pending.clear()
        self._epoch += 1
        return ResponseHeard(heard_ms=heard, sent_ms=sent, interrupted=True) if was_speaking else None

    def _mark(self, *, ends_turn: bool) -> str:
        self._number += 1
        self._marked_ms = self.sent_ms
        mark = _Mark(f"{self._epoch}.{self._number}", self.sent_ms, ends_turn)
        self._pending.append(mark)
        return mark.name
