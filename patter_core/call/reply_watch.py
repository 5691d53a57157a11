"""Finds a session that no longer answers. Vendors' sessions freeze without an error, and the caller hears silence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from patter_core.call.context import CallContext
from patter_core.call.playback import Playback
from patter_core.call.state import State

__all__ = ["ReplyWatch"]


class ReplyWatch:
    """Waits `Deadlines.reply` for the agent's answer to what the caller said.

    Args:
        call: what the parts of the call share.
        playback: of the agent's audio: any is an answer.
        on_frozen: called when there was none.
    """

    def __init__(self, call: CallContext, playback: Playback, on_frozen: Callable[[], None]) -> None:
        self._call = call
        self._playback = playback
        self._on_frozen = on_frozen
        self._within = call.config.deadlines.reply or math.inf
        self._due = math.inf
        self._seen = (0, 0)
        self._timer: asyncio.TimerHandle | None = None

    def expect(self) -> None:
        """An answer is due: the caller, or a tool, has said something."""
        if self._within == math.inf:
            return
        self._due = self._call.clock() + self._within
        self._seen = self._audio
        if self._timer is None:
            self._set_timer(self._within)

    def rest(self) -> None:
        """None is due: the caller speaks or is on hold, a tool is at work, or the session is over."""
        self._due = math.inf

    def close(self) -> None:
        """The session is over."""
        self.rest()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _audio(self) -> tuple[int, int]:
        """Changes with each chunk of the agent."""
        return self._call.meter.turns, self._playback.accepted - self._playback.quiet

    def _set_timer(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        left = self._due - self._call.clock()
        if left == math.inf:
            return
        if left > 0:
            self._set_timer(left)
            return
        self._due = math.inf
        if self._call.state.state is State.LIVE and self._audio == self._seen:
            self._on_frozen()
