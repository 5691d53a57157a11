"""The turn-taking core: a table and a clock, without IO."""

from __future__ import annotations

import math
from collections.abc import Iterable

from patter_core.history import HistoryItem
from patter_pipeline.turns.core import Core
from patter_pipeline.turns.flow import settle
from patter_pipeline.turns.inputs import Input, SpeechBegan, SpeechEnded, SttEndOfTurn, SttFinal, SttInterim
from patter_pipeline.turns.memory import Memory
from patter_pipeline.turns.outputs import Output
from patter_pipeline.turns.recognition import sort_words
from patter_pipeline.turns.settings import Settings
from patter_pipeline.turns.states import State, Timer
from patter_pipeline.turns.table import TABLE

__all__ = ["Turns"]

_LATE_EDGE = 2.0
"""Seconds by which an edge of speech may come late."""
_AT_ONCE = 0.1
"""Seconds of audio that may be on its way without counting as held up: some carriers send several frames in one go."""
_MOST_TIMERS = 100
"""That fire in one step: each moves on, so there are a few at most."""


class Turns:
    """Who speaks, when an answer is due, and what was heard, of one conversation.

    Args:
        settings: the times, and what the parts are.
        history: what was said and done on the call before.
        epoch_ms: Unix time of the zero of the clock of `now`, in ms: for the times in the history.
    """

    def __init__(
        self, settings: Settings | None = None, *, history: Iterable[HistoryItem] = (), epoch_ms: float = 0.0
    ) -> None:
        self._core = Core(settings or Settings(), Memory(history, epoch_ms))

    @property
    def state(self) -> State:
        """Who has the turn."""
        return self._core.state

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """What was said and done, in order; what the agent is saying as if it were heard."""
        return self._core.memory.items()

    def deadline(self) -> float:
        """Returns when `step` must be called at the latest, with `TimePassed`; infinity for never."""
        return min(self._core.timers.values(), default=float("inf"))

    def step(self, event: Input, now: float, *, heard_until: float = math.inf) -> list[Output]:
        """Takes an input; returns what is to be done.

        Args:
            event: what happened.
            now: the clock, in s; never less than before.
            heard_until: up to when the caller was heard: what they said since is still on its way.
        """
        core = self._core
        core.now = max(core.now, now)
        core.heard_until = core.now if heard_until > core.now - _AT_ONCE else heard_until
        core.out = []
        self._fire()
        self._take(event)
        self._fire()
        return core.out

    def _take(self, event: Input) -> None:
        core = self._core
        if core.is_over:
            return
        match event:
            case SpeechBegan(at=at):
                core.voicing.begin(max(core.when(at), core.now - _LATE_EDGE))
            case SpeechEnded(at=at):
                core.voicing.end(core.when(at))
            case SttInterim() | SttFinal() | SttEndOfTurn():
                sorted_ = sort_words(core, event)
                if sorted_ is not None:
                    self._handle(type(sorted_), sorted_)
            case _:
                self._handle(type(event), event)
        self._settle()

    def _fire(self) -> None:
        """Fires the timers that are due, in their order."""
        core = self._core
        for _ in range(_MOST_TIMERS):
            timer = min(core.timers, key=core.timers.__getitem__, default=None)
            if timer is None or core.timers[timer] > core.now:
                return
            del core.timers[timer]
            self._handle(timer, None)
            if timer is Timer.QUIET and not core.voicing.is_on:
                core.voicing.forget(core.now)
            self._settle()

    def _handle(self, trigger: type[object] | Timer, event: object) -> None:
        core = self._core
        handler = TABLE.get((core.state, trigger))
        if handler is not None:
            handler(core, event)

    def _settle(self) -> None:
        if not self._core.is_over:
            settle(self._core)
