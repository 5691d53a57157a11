"""Finds a session that has frozen, of an engine whose audio never stops.

Such an engine may choose to say nothing: its silence is audio, too, and is no fault. What tells that it has frozen is
that no audio comes, whether the caller has said anything or not.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from patter_core.call.context import CallContext
from patter_core.call.state import State

__all__ = ["OutputWatch"]

_LOOKS = 4
"""How often it is looked in `Deadlines.reply`: a stall of ours, however long, is one look."""


class OutputWatch:
    """Watches one session, between `start` and `stop`.

    Args:
        call: what the parts of the call share.
        chunks: returns how many chunks the session has given.
        on_frozen: called once none has come for `Deadlines.reply`, and up to a quarter longer.
    """

    def __init__(self, call: CallContext, chunks: Callable[[], int], on_frozen: Callable[[], None]) -> None:
        self._call = call
        self._chunks = chunks
        self._on_frozen = on_frozen
        self._every = (call.config.deadlines.reply or math.inf) / _LOOKS
        self._seen = -1
        self._missed = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The session is open."""
        if self._every < math.inf:
            self._timer = asyncio.get_running_loop().call_later(self._every, self._look)

    def stop(self) -> None:
        """It is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        chunks = self._chunks()
        is_silent = chunks == self._seen and self._call.state.state is State.LIVE
        self._missed = self._missed + 1 if is_silent else 0
        self._seen = chunks
        if self._missed == _LOOKS:
            self._timer = None
            self._on_frozen()
        else:
            self.start()
