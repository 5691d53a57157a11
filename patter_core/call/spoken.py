"""What the agent of one session said, and how much of it was heard: for the history, and for corrections. Sans-IO.

A text and what was heard of its audio come in either order, and several turns may wait at the carrier at once. An item
of the history is made once both are known.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from patter_core.call.turns import TurnHeard
from patter_core.events import TranscriptCorrection, TranscriptOutput, Word
from patter_core.events.heard_text import heard_text
from patter_core.history import AgentSaid

__all__ = ["Spoken"]

_TURNS = 16
"""Turns that are kept: of older ones nothing more comes."""
_EXACT_MS = 1.0
"""So much less than all of an item's audio is all of it."""


class _Ear(msgspec.Struct, frozen=True):
    """How much of the audio of a text was heard."""

    heard_ms: float
    audio_ms: float
    is_complete: bool
    """False if the audio ends before the text does."""

    @property
    def is_whole(self) -> bool:
        return self.is_complete and self.heard_ms >= self.audio_ms - _EXACT_MS


class _Text(msgspec.Struct):
    """The text of a turn, or of an item of it."""

    text: str
    words: tuple[Word, ...] = ()
    line: str = ""
    """Its id in the history."""
    is_corrected: bool = False
    """True if the engine said how much of it was heard, or the core did."""


class _Turn(msgspec.Struct):
    name: str
    is_begun: bool = False
    texts: dict[str, _Text] = {}
    """By item."""
    told: TurnHeard | None = None
    """How much of it was heard; None before its end."""
    corrects: bool = False
    """True if the engine will say how much was heard."""
    begun_ms: float = 0.0
    """When it began, in Unix ms: nothing of it is heard before."""
    started_ms: float | None = None
    """When the caller began to hear it, in Unix ms."""


class Spoken:
    """Pairs the texts of one session with its audio.

    Args:
        keep: puts an item into the history, in place of the one with that id if there is one; returns its id.
        correct: tells that less was heard than was said.
        by_name: True if texts and turns have the engine's own names; otherwise a text is of the turn that began last,
            or of the next one.
        corrects: True if the engine itself says, after an interruption, how much was heard.
    """

    def __init__(
        self,
        *,
        keep: Callable[[AgentSaid, str], str],
        correct: Callable[[TranscriptCorrection], None],
        by_name: bool,
        corrects: bool,
    ) -> None:
        self._keep = keep
        self._correct = correct
        self._by_name = by_name
        self._corrects = corrects
        self._turns: list[_Turn] = []

    def begin(self, turn: str, now_ms: float = 0.0) -> None:
        """A turn began, at that time in Unix ms."""
        waiting = self._find(lambda one: not one.is_begun and self._may_be(one, turn))
        if waiting is None:
            self._add(_Turn(turn, is_begun=True, begun_ms=now_ms))
        else:
            waiting.name, waiting.is_begun, waiting.begun_ms = turn, True, now_ms

    def said(self, event: TranscriptOutput) -> None:
        """The text of a turn, or of an item of it, is known."""
        turn = self._turn_of_text(event.turn, event.item)
        text = turn.texts.get(event.item)
        if text is None:
            turn.texts[event.item] = _Text(event.text, event.words)
        elif text.is_corrected:
            return
        else:
            text.text, text.words = event.text, event.words
        self._settle(turn, event.item)

    def heard(self, told: TurnHeard, now_ms: float, *, is_interruption: bool) -> None:
        """It is known how much of a turn was heard.

        Args:
            told: how much, of which items.
            now_ms: the time, in Unix ms.
            is_interruption: True if the engine told of the interruption that cut it.
        """
        heard = told.heard
        turn = self._find(lambda one: one.is_begun and one.told is None and one.name == heard.turn)
        if turn is None:  # it had no `ResponseStart`
            self.begin(heard.turn)
            turn = self._turns[-1]
        if turn.started_ms is None:
            turn.started_ms = max(turn.begun_ms, now_ms - sum(item.heard_ms for item in heard.items))
        if heard.paused:
            return
        turn.told = told
        turn.corrects = self._corrects and is_interruption
        for item in list(turn.texts):
            self._settle(turn, item)

    def corrected(self, event: TranscriptCorrection) -> None:
        """The engine says how much of a turn, or of an item of it, was heard."""
        turns = reversed(self._turns)
        turn = next((one for one in turns if event.item in one.texts and self._may_be(one, event.turn)), None)
        if turn is None:
            return
        text = turn.texts[event.item]
        text.text, text.words, text.is_corrected = event.text, (), True
        self._settle(turn, event.item)

    # --- turns -----------------------------------------------------------------------------------------------------

    def _turn_of_text(self, name: str, item: str) -> _Turn:
        if self._by_name and name:
            turn = self._find(lambda one: one.name == name)
        else:
            last = self._turns[-1] if self._turns else None
            turn = last if last is not None and last.is_begun and item not in last.texts else None
            if last is not None and not last.is_begun and item and item not in last.texts:
                turn = last  # another item of the turn that follows
        return turn or self._add(_Turn(name))

    def _may_be(self, turn: _Turn, name: str) -> bool:
        return not self._by_name or not name or not turn.name or turn.name == name

    def _find(self, condition: Callable[[_Turn], bool]) -> _Turn | None:
        return next((turn for turn in self._turns if condition(turn)), None)

    def _add(self, turn: _Turn) -> _Turn:
        self._turns.append(turn)
        del self._turns[:-_TURNS]
        return turn

    # --- what was heard ----------------------------------------------------------------------------------------------

    def _settle(self, turn: _Turn, item: str) -> None:
        """Puts a text into the history, if it is known how much of it was heard."""
        if turn.told is None or turn.started_ms is None:
            return
        text, ear = turn.texts[item], _ear_of(turn.told, item)
        started_ms = turn.started_ms + _before(turn.told, item)
        if text.is_corrected:
            self._put(text, text.text, started_ms, is_cut=True)
        elif ear.is_whole:
            self._put(text, text.text, started_ms, is_cut=False)
        else:
            self._cut(turn, item, ear, started_ms)

    def _cut(self, turn: _Turn, item: str, ear: _Ear, started_ms: float) -> None:
        text = turn.texts[item]
        said = heard_text(
            text.text,
            heard_ms=ear.heard_ms,
            audio_ms=ear.audio_ms,
            words=text.words,
            is_complete=ear.is_complete,
        )
        self._put(text, said, started_ms, is_cut=True)
        if turn.corrects:  # until then the history has what the core has found
            return
        text.is_corrected = True
        whole, text.text = text.text, said
        if said != whole:
            self._correct(TranscriptCorrection(said, whole, turn.name, item))

    def _put(self, text: _Text, said: str, started_ms: float, *, is_cut: bool) -> None:
        if said or text.line:  # otherwise nothing was heard, and nothing was kept
            text.line = self._keep(AgentSaid(text=said, started_ms=started_ms, interrupted=is_cut), text.line)


def _ear_of(told: TurnHeard, item: str) -> _Ear:
    """Returns how much was heard of an item, or of the whole turn if its audio has no items, or the text has none."""
    names = [one.item for one in told.heard.items]
    if item in names and (item or len(names) == 1):
        place = names.index(item)
        is_complete = told.is_complete or place < len(names) - 1
        return _Ear(told.heard.items[place].heard_ms, told.given_ms[place], is_complete)
    if item and names != [""]:  # its audio never came
        return _Ear(0.0, 0.0, is_complete=False)
    heard_ms = sum(one.heard_ms for one in told.heard.items)
    return _Ear(heard_ms, sum(told.given_ms), told.is_complete)


def _before(told: TurnHeard, item: str) -> float:
    """Returns how much was heard of the turn before that item, in ms."""
    before = 0.0
    for one in told.heard.items:
        if one.item == item:
            return before
        before += one.heard_ms
    return 0.0
