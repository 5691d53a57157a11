"""What becomes of the agent's audio in a check: it plays in real time, and the engine is told what was heard. Sans-IO.

An engine with turns of its own may need to know: what it says next can depend on it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from patter_core.audio import AudioChunk
from patter_core.engine import Heard, HeardItem
from patter_core.events import EngineEvent, Interruption, PausePlayback, ResponseDone, ResponseStart, SpeechItem

__all__ = ["Earpiece"]


class _Item(msgspec.Struct):
    """A stretch of an item's audio."""

    item: str
    offset_ms: float
    """Where it begins in the item."""
    began_ms: float
    """Where it begins in all that was played."""
    sent_ms: float = 0.0

    def told(self, heard_ms: float) -> HeardItem:
        """Returns how much of it was heard, of so much in all."""
        heard = min(max(0.0, heard_ms - self.began_ms), self.sent_ms)
        return HeardItem(item=self.item, heard_ms=self.offset_ms + heard, sent_ms=self.offset_ms + self.sent_ms)


class _Turn(msgspec.Struct):
    turn: str
    items: list[_Item] = []
    is_done: bool = False


class Earpiece:
    """The playing side of one conversation.

    Args:
        tell: is told what was heard of each turn, as a call tells it.
    """

    def __init__(self, tell: Callable[[Heard], object]) -> None:
        self._tell = tell
        self._turns: list[_Turn] = []
        self._sent_ms = 0.0
        """Of all audio that was not cleared."""
        self._over_at = 0.0
        """When it is played, in s."""

    def take(self, event: AudioChunk | EngineEvent, now: float) -> None:
        """Takes what the engine gives, at that time in s."""
        match event:
            case AudioChunk():
                self._play(event.duration_ms, now)
            case ResponseStart(turn=turn):
                self._turns.append(_Turn(turn))
            case SpeechItem(item=item, turn=turn, offset_ms=offset_ms):
                self._begin(item, turn, offset_ms)
            case ResponseDone() if self._turns:
                self._turns[-1].is_done = True
            case PausePlayback() if self._turns:
                self._told(self._turns[-1], now, paused=True)
                self._clear(now)
            case Interruption():
                turns, self._turns = self._turns, []
                for one in turns:
                    self._told(one, now, interrupted=True)
                self._clear(now)

    def pass_time(self, now: float) -> None:
        """Tells of turns that were heard to their end."""
        while self._turns and self._turns[0].is_done and self._is_heard(self._turns[0], now):
            self._told(self._turns.pop(0), now)

    def _is_heard(self, turn: _Turn, now: float) -> bool:
        last = turn.items[-1] if turn.items else None
        return last is None or self._heard_ms(now) >= last.began_ms + last.sent_ms - 0.5

    def _heard_ms(self, now: float) -> float:
        return self._sent_ms - max(0.0, self._over_at - now) * 1000

    def _play(self, duration_ms: float, now: float) -> None:
        if not self._turns:  # an engine that breaks the order of turns, which is told elsewhere
            return
        turn = self._turns[-1]
        if not turn.items:
            turn.items.append(_Item("", 0.0, self._sent_ms))
        turn.items[-1].sent_ms += duration_ms
        self._sent_ms += duration_ms
        self._over_at = max(self._over_at, now) + duration_ms / 1000

    def _begin(self, item: str, turn: str, offset_ms: float) -> None:
        if not self._turns:
            self._turns.append(_Turn(turn))
        present = self._turns[-1]
        present.items = [one for one in present.items if one.item != item]
        present.items.append(_Item(item, offset_ms, self._sent_ms))

    def _told(self, turn: _Turn, now: float, *, interrupted: bool = False, paused: bool = False) -> None:
        heard_ms = self._heard_ms(now)
        items = tuple(item.told(heard_ms) for item in turn.items)
        if items:
            self._tell(Heard(turn=turn.turn, items=items, interrupted=interrupted, paused=paused))

    def _clear(self, now: float) -> None:
        """What was not heard is gone."""
        heard_ms = self._heard_ms(now)
        for turn in self._turns:
            for item in turn.items:
                item.sent_ms = min(item.sent_ms, max(0.0, heard_ms - item.began_ms))
        self._sent_ms, self._over_at = heard_ms, now
