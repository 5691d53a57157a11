"""What the caller has heard of the agent, by marks and a clock. Sans-IO: `now` is a monotonic clock, in s.

Agent audio comes faster than it plays. It waits in our buffer, then in the carrier's, so first it is **accepted**, then
**sent**, then **heard**. All three are positions in one stream of audio, in bytes since the call began; a clear cuts
the stream off at what was heard.

A mark asks the carrier to say when everything before it has been played. There is one after each half second of audio,
and one at the end of each turn. Between two marks a clock reckons. So heard is

    the position of the last mark that came back, and the time since then;
    at most the position of the next mark, which is still out;
    at most what was sent.

Before the first mark the clock counts from when the audio was sent. A clear may bring all marks back at once, or none:
a mark's name begins with an epoch, and each clear begins a new one, so the old marks mean nothing.

Some carriers have no marks, and some marks are wrong. A mark that comes back before its audio can have been played, or
two seconds later than it should, is a fault: from there on the clock alone reckons. It does not know how long the way
to the caller is, so audio counts as heard to its end only some time later: else a call would be hung up in its last
word.
"""

from __future__ import annotations

import math

import msgspec

from patter_core.audio import AudioFormat
from patter_core.call.turns import Turn, TurnHeard

__all__ = ["Playback"]

_MARK_EVERY_MS = 500.0
"""Of audio between two marks: how exactly “heard” is known, against one more message in each direction."""
_EARLY = 0.25
"""Seconds by which a mark may come back too early: clocks and buffers are not exact."""
_LATE = 2.0
"""Seconds by which a mark may come back too late."""
_WAY = 0.3
"""Seconds that the way to the caller may take, where no mark says so: the network, and the carrier's jitter buffer."""


class _Mark(msgspec.Struct, frozen=True):
    name: str
    at: int
    """All audio sent before it."""
    due: float
    """When that has been played, if the carrier plays it at once."""


class Playback:
    """The agent's audio in our buffer, at the carrier, and in the caller's ear.

    Args:
        format: what the carrier takes.
    """

    def __init__(self, format: AudioFormat) -> None:
        self.accepted = 0
        """Position of what the engine gave."""
        self.sent = 0
        """Position of what the carrier has."""
        self.owner: object = None
        """Who speaks: the turns that begin are theirs."""
        self.has_marks = True
        """False once the clock alone reckons."""
        self.ends_at = 0.0
        """When what was sent will have been played, by the clock."""
        self.quiet = 0
        """How much at the end of what was accepted is silence of no turn."""
        self.late = 0
        """How often audio came after what was before it in its turn had been played: the caller heard a gap."""
        self._rate = format.byte_rate
        self._mark_every = format.size(_MARK_EVERY_MS)
        self._certain = 0
        """Heard for certain: up to the last mark, or the last clear."""
        self._base, self._base_at = 0, 0.0
        """Where the clock counts from: a position, and when it was heard."""
        self._marked = 0
        self._turn_from = 0
        """What was sent before the present turn."""
        self._turns: list[Turn] = []
        """Those that were not heard to their end, the oldest first. Only the last one may be open."""
        self._marks: list[_Mark] = []
        self._epoch = self._number = 0
        self._was_heard = False
        """True once something of a turn was heard."""

    # --- what is known ---------------------------------------------------------------------------------------------

    def heard(self, now: float) -> float:
        """Returns the position of what the caller has heard."""
        reckoned = self._base + (now - self._base_at) * self._rate
        limit = self._marks[0].at if self._marks else self.sent
        return max(self._certain, min(reckoned, limit, self.sent))

    def heard_ms(self, now: float) -> float:
        """Returns what the caller has heard since the call began, in ms."""
        return self.heard(now) * 1000 / self._rate

    def ahead_ms(self, now: float) -> float:
        """Returns how much was accepted and not heard, in ms."""
        return (self.accepted - self.heard(now)) * 1000 / self._rate

    def is_audible(self, now: float) -> bool:
        """True if there is audio that is not known to have been heard: where there are marks, the last one is out."""
        return self.accepted - self.quiet - self._known(now) >= 1

    def is_at_carrier(self, now: float) -> bool:
        """True if the carrier has audio that is not known to have been heard."""
        return self.sent - self._known(now) >= 1

    def _known(self, now: float) -> float:
        return self._certain if self.has_marks else self.heard(now - _WAY)

    @property
    def is_open(self) -> bool:
        """True while there is a turn that more audio may follow."""
        return bool(self._turns) and self._turns[-1].is_open

    @property
    def has_spoken(self) -> bool:
        """True if something of a turn was heard, or will be."""
        return self._was_heard or any(turn.has_audio(self.accepted) for turn in self._turns)

    @property
    def is_paused(self) -> bool:
        """True if a turn was paused, and neither goes on nor was interrupted."""
        return any(turn.is_paused for turn in self._turns)

    @property
    def sounding(self) -> Turn | None:
        """The turn of which the carrier gets audio next; None if it is of no turn."""
        return next((turn for turn in self._turns if turn.ends_at > self.sent and not turn.is_paused), None)

    # --- turns -----------------------------------------------------------------------------------------------------

    def is_in(self, turn: str) -> bool:
        """True if that turn is open; "" is any."""
        return self.is_open and (not turn or self._turns[-1].name == turn)

    def begin_turn(self, turn: str) -> list[TurnHeard]:
        """A turn begins; the one before ends, if it has not. Returns what is told of turns that stay paused."""
        self.end_turn()
        told = [
            one.told(self._certain, self.sent, self.accepted, interrupted=True) for one in self._turns if one.is_paused
        ]
        self._turns = [one for one in self._turns if not one.is_paused]
        self.quiet = 0
        self._turns.append(Turn(turn, self.owner, self.accepted, self._rate))
        self._turn_from = self.sent
        return told

    def begin_item(self, item: str, turn: str, offset_ms: float) -> list[TurnHeard]:
        """The audio that follows is that item's, from there on. It begins or resumes its turn if need be."""
        told: list[TurnHeard] = []
        paused = next((one for one in self._turns if one.is_paused and one.name == turn), None)
        if paused is not None:
            self.end_turn()
            self._turns.remove(paused)
            self._turns.append(paused)
            paused.resume(self.accepted)
        elif not self.is_in(turn):
            told = self.begin_turn(turn)
        self._turns[-1].begin_item(item, offset_ms, self.accepted)
        return told

    def pass_over(self, start: int) -> None:
        """What was accepted from there on is of no turn: padding, or tones."""
        if self.is_open and self.accepted > start:
            self._turns[-1].pass_over(start, self.accepted)

    def end_turn(self, *, is_broken_off: bool = False) -> bool:
        """The turn that is open is complete, or broken off. Returns True if a mark must follow its audio."""
        if not self.is_open:
            return False
        turn = self._turns[-1]
        if not turn.has_audio(self.accepted):
            self._turns.pop()
            return False
        turn.end(self.accepted)
        turn.is_broken_off = is_broken_off
        return True

    def settle(self, now: float) -> list[TurnHeard]:
        """Returns what is told of the turns that have been heard to their end."""
        position = self._known(now)
        if not self.has_marks and self.sent - position < 1:
            self._certain = self.sent
        told: list[TurnHeard] = []
        while self._turns and self._turns[0].ends_at - position < 1:
            turn = self._turns.pop(0)
            told.append(turn.told(turn.ends_at, self.sent, self.accepted))
            self._was_heard = True
        return told

    # --- audio and marks -------------------------------------------------------------------------------------------

    def send(self, size: int, now: float) -> bool:
        """Audio goes to the carrier. Returns True if a mark must follow it."""
        sent = self.sent
        ends_at = self.ends_at
        if ends_at < now:
            if sent > self._turn_from:
                self.late += 1
            if self.heard(now) >= sent:
                self._base, self._base_at = sent, now
            ends_at = now
        self.ends_at = ends_at + size / self._rate
        self.sent = sent = sent + size
        return sent - self._marked >= self._mark_every

    def accept_silence(self, size: int) -> None:
        """Silence that is of no turn comes."""
        self.accepted += size
        self.quiet += size

    def send_silence(self, size: int, now: float) -> None:
        """Silence that is of no turn goes to the carrier. It needs no mark, and is nothing to be heard."""
        self._turn_from = self.sent
        self.send(size, now)
        self._marked = self.sent

    def mark(self, now: float) -> str:
        """Sets a mark behind what was sent; returns its name."""
        self._number += 1
        self._marked = self.sent
        mark = _Mark(f"{self._epoch}.{self._number}", self.sent, max(now, self.ends_at))
        self._marks.append(mark)
        return mark.name

    def returned(self, name: str, now: float) -> bool:
        """A mark came back; one that is unknown, or from before a clear, means nothing. False if it is too early."""
        mark = next((mark for mark in self._marks if mark.name == name), None)
        if mark is None:
            return True
        while self._marks.pop(0) is not mark:
            pass
        if now < mark.due - _EARLY:
            self.reckon_by_clock()
            return False
        self._certain = self._base = mark.at
        self._base_at = now
        return True

    @property
    def overdue_at(self) -> float:
        """When the next mark is too late; infinity if none is out."""
        if not self._marks:
            return math.inf
        mark = self._marks[0]
        return max(mark.due, self._base_at + (mark.at - self._base) / self._rate) + _LATE

    @property
    def settles_at(self) -> float:
        """When a turn, or all that was sent, will have been heard, where the clock says so; infinity where marks do."""
        if self.has_marks:
            return math.inf
        turn_ends = self._turns[0].ends_at if self._turns else math.inf
        ends = min(self.sent, turn_ends)
        if ends - self._certain < 1 and turn_ends > ends:  # all was heard
            return math.inf
        return self._base_at + (ends - self._base) / self._rate + _WAY

    def reckon_by_clock(self) -> None:
        """There are no marks, or they are wrong."""
        self.has_marks = False
        self._marks.clear()

    def restart_marks(self, now: float) -> None:
        """There is a new socket, which has marks until the contrary is known."""
        self._certain = self._base = round(self.heard(now))
        self._base_at = now
        self.has_marks = True
        self._forget_marks()

    def _forget_marks(self) -> None:
        self._marks.clear()
        self._epoch += 1

    # --- clears ----------------------------------------------------------------------------------------------------

    def cut(self, now: float, *, pause: bool = False, stays: int | None = None) -> list[TurnHeard]:
        """What was not heard is void. Returns what is told of the turns, the oldest first.

        Args:
            now: the clock.
            pause: the turns are not over: their audio may follow again.
            stays: up to that position all stays: it is of no turn.
        """
        heard = round(self.heard(now))
        spoken = [turn for turn in self._turns if turn.has_audio(self.accepted)]
        told = [turn.told(heard, self.sent, self.accepted, interrupted=not pause, paused=pause) for turn in spoken]
        self._was_heard = self._was_heard or any(item.heard_ms for one in told for item in one.heard.items)
        self._turns = spoken if pause else []
        if stays is not None:
            self.accepted = self._turn_from = stays
            return told
        self.accepted = self.sent = self._marked = self._certain = self._base = self._turn_from = heard
        self.quiet = 0
        self.ends_at = self._base_at = now
        self._forget_marks()
        return told
