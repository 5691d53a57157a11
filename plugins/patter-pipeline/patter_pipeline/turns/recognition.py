"""What the recognition reports: which turn of the caller it is of, by when it was said and not by when it came."""

from __future__ import annotations

import msgspec

from patter_pipeline.turns.caller import complete_last, end_turn, final_wait_over, heard_more
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.inputs import SttEndOfTurn, SttFinal, SttInterim
from patter_pipeline.turns.model import check_draft
from patter_pipeline.turns.records import CallerTurn
from patter_pipeline.turns.states import State, Timer
from patter_pipeline.turns.words import words

__all__ = ["NoWords", "Words", "add_words", "sort_words", "take_back"]

_EARLIER = 0.3
"""Seconds by which a late text may reach into the next turn."""


class Words(msgspec.Struct, frozen=True):
    """Words of the caller that are of no turn before the present one."""

    text: str
    at: float
    until: float | None = None
    """None for an interim."""
    is_turn: bool = False
    """It is the whole turn, which is complete."""

    def __repr__(self) -> str:
        return "<Words>"


class NoWords(msgspec.Struct, frozen=True):
    """The recognition takes back what it took for words, and was not final: the sound was no speech."""


def sort_words(core: Core, event: SttInterim | SttFinal | SttEndOfTurn) -> Words | NoWords | None:
    """Returns the words, if there are any and they are not of the last turn: those complete it, at their place."""
    if not words(event.text):
        return NoWords() if isinstance(event, SttInterim) else None
    at = core.when(event.at)
    is_turn = isinstance(event, SttEndOfTurn)
    until = core.now
    if isinstance(event, SttFinal):
        until = max(core.when(event.until), at)
    if _is_late(core, at, until) or (core.last is not None and core.last.knows(event.text, at)):
        if not isinstance(event, SttInterim):
            _complete(core, Words(event.text, at, until, is_turn))
        return None
    if isinstance(event, SttInterim):
        core.has_interims = True
        return Words(event.text, at)
    if core.has_interims is None and not is_turn:
        core.has_interims = False
    return Words(event.text, at, until, is_turn)


def _is_late(core: Core, at: float, until: float) -> bool:
    last = core.last
    if last is None or at >= last.closed_at:
        return False
    return core.user is None or until <= core.user.at + _EARLIER


def _complete(core: Core, late: Words) -> None:
    last = core.last
    assert last is not None
    before = words(last.text)
    if _put(last, late):
        complete_last(core, is_new=words(last.text) != before)


def add_words(core: Core, event: Words) -> None:
    """The words are of the open turn."""
    turn = core.user
    if turn is None or not _put(turn, event):
        return
    heard_more(core)
    if event.is_turn and core.user is turn and core.state in {State.USER, State.PAUSED}:
        if core.state is State.USER:
            core.caller_stops(core.now)
            turn.ended_at = core.now
        core.voicing.forget(core.now)
        end_turn(core)


def take_back(core: Core, _: NoWords) -> None:
    """What was no final text of the open turn was not said. A turn without any other is forgotten once it is quiet."""
    turn = core.user
    if turn is None or not turn.hears(""):
        return
    check_draft(core)
    if core.state is State.USER:
        core.clear(Timer.WORDLESS)
    elif words(turn.text):
        heard_more(core)
    elif not core.voicing.is_on:
        turn.spoken = 0.0  # it is not deaf: it says that this was no speech
        final_wait_over(core, None)


def _put(turn: CallerTurn, event: Words) -> bool:
    if event.is_turn:
        return turn.complete(event.text, event.at)
    if event.until is not None:
        return turn.add(event.text, event.at, event.until)
    return turn.hears(event.text)
