"""One turn of the agent in the stream of its audio: which item is where, and how much of each was heard.

Positions are bytes of the stream, as `Playback` counts them. Sans-IO.
"""

from __future__ import annotations

import math

import msgspec

from patter_core.engine import Heard, HeardItem

__all__ = ["Turn", "TurnHeard"]


class TurnHeard(msgspec.Struct, frozen=True):
    """How much of a turn was heard, and whose turn it was."""

    owner: object
    heard: Heard
    given_ms: tuple[float, ...]
    """How much audio each of its items has, sent or not."""
    is_complete: bool
    """True if the agent had said all of it."""


class _Segment(msgspec.Struct):
    """Audio of one item, without a gap."""

    item: str
    offset_ms: float
    """Where in the item it begins."""
    start: int
    end: float = math.inf


class Turn:
    """One turn. It is open until `end`; after a pause, which cuts the stream, until `resume` it has no place in it.

    Args:
        name: the engine's id of it; "" if it has none.
        owner: who speaks.
        at: where it begins.
        rate: bytes a second.
    """

    def __init__(self, name: str, owner: object, at: int, rate: int) -> None:
        self.name = name
        self.owner = owner
        self.ends_at = math.inf
        """Where it ends; infinity while it is open."""
        self.is_paused = False
        self.is_broken_off = False
        """True if it ended because its session was lost."""
        self.is_sounding = False
        """True once the carrier got audio of it since its beginning, or since its last pause."""
        self.is_counted = False
        """True once the carrier got audio of it, also before a pause."""
        self._start = at
        self._rate = rate
        self._segments = [_Segment("", 0.0, at)]
        self._past: dict[str, HeardItem] = {}
        """What was heard of its items before the last pause."""
        self._past_given: dict[str, float] = {}

    @property
    def is_open(self) -> bool:
        """True while more audio of it may follow."""
        return self.ends_at == math.inf and not self.is_paused

    def has_audio(self, accepted: int) -> bool:
        """True if there was audio of it, up to that position."""
        return bool(self._past) or accepted > self._start

    def begin_item(self, item: str, offset_ms: float, at: int) -> None:
        """The audio that follows is that item's, from that offset on."""
        self._segments[-1].end = at
        if self._segments[-1].start == at:
            self._segments.pop()
        self._segments.append(_Segment(item, offset_ms, at))

    def pass_over(self, start: int, end: int) -> None:
        """What is between these two positions, the end of the stream, is not of the turn."""
        last = self._segments[-1]
        last.end = start
        self._segments.append(_Segment(last.item, last.offset_ms + (start - last.start) * 1000 / self._rate, end))

    def end(self, at: int) -> None:
        """It is complete."""
        self.ends_at = self._segments[-1].end = at

    def resume(self, at: int) -> None:
        """After a pause it goes on."""
        self.is_paused = self.is_sounding = False
        self.ends_at = math.inf
        self._segments = [_Segment("", 0.0, at)]

    def told(
        self, heard: float, sent: int, accepted: int, *, interrupted: bool = False, paused: bool = False
    ) -> TurnHeard:
        """Returns how much of it was heard, from what was heard and sent of the stream.

        Args:
            heard: up to where the caller has heard the stream.
            sent: up to where the carrier has it.
            accepted: up to where the engine has given it.
            interrupted: the rest of it is void; unless it was heard to its end.
            paused: the rest of it is void, and may follow again.
        """
        items, given = dict(self._past), dict(self._past_given)
        for segment in self._segments:
            length = max(0.0, min(segment.end, sent) - segment.start)
            played = min(length, max(0.0, heard - segment.start))
            before = items.get(segment.item)  # an item may come in parts: a part that was not heard adds nothing
            heard_ms = segment.offset_ms + played * 1000 / self._rate
            sent_ms = segment.offset_ms + length * 1000 / self._rate
            items[segment.item] = HeardItem(
                item=segment.item,
                heard_ms=heard_ms if played or before is None else before.heard_ms,
                sent_ms=sent_ms if length or before is None else before.sent_ms,
            )
            whole = max(0.0, min(segment.end, accepted) - segment.start)
            given_ms = segment.offset_ms + whole * 1000 / self._rate
            given[segment.item] = max(given_ms if whole else 0.0, given.get(segment.item, 0.0))
        if paused:
            self.is_paused = True
            self._past, self._past_given, self._segments = items, given, []
        is_cut = interrupted and heard < self.ends_at
        told = Heard(turn=self.name, items=tuple(items.values()), interrupted=is_cut, paused=paused)
        is_complete = self.ends_at < math.inf and not self.is_broken_off
        return TurnHeard(self.owner, told, tuple(given.values()), is_complete)
