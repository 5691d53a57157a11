"""Turns of an engine that does not report them: one begins with audio, and is done half a second after the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from patter_core.audio import AudioChunk
from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.events import ResponseDone, ResponseStart

__all__ = ["DerivedTurns"]

_SILENCE = 0.5
"""Seconds without audio after which a turn is done: an engine sends faster than its audio plays."""


class DerivedTurns:
    """Stands before the downlink, for one session.

    Args:
        call: what the parts of the call share.
        downlink: carries the agent's audio to the caller.
        report: takes the events that the engine does not give.
    """

    def __init__(
        self, call: CallContext, downlink: Downlink, report: Callable[[ResponseStart | ResponseDone], None]
    ) -> None:
        self._call = call
        self._downlink = downlink
        self._report = report
        self._number = 0
        self._is_speaking = False
        self._last_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, chunk: AudioChunk) -> None:
        """Takes one chunk of the agent."""
        self._last_at = self._call.clock()
        if not self._is_speaking:
            self._is_speaking = True
            self._number += 1
            self._report(ResponseStart(turn=str(self._number)))
            self._set_timer(_SILENCE)
        self._downlink.play(chunk)

    def interrupted(self) -> None:
        """The turn is over, and is not done."""
        self._is_speaking = False

    def close(self) -> None:
        """The session is over, and so is its turn."""
        if self._timer is not None:
            self._timer.cancel()
        self._done()

    def _set_timer(self, seconds: float) -> None:
        """Keeps one timer for a whole turn: it looks when the silence is due, and again if audio came since."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        left = self._last_at + _SILENCE - self._call.clock()
        if not self._is_speaking or self._call.is_over:
            return
        if left > 0:
            self._set_timer(left)
        else:
            self._done()

    def _done(self) -> None:
        if self._is_speaking:
            self._is_speaking = False
            try:
                self._report(ResponseDone(turn=str(self._number)))
            except BaseException as error:  # noqa: BLE001 - the carrier's codec, in a callback of the loop
                self._call.crash(error)
