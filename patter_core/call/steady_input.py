"""Gives silence to an engine that must be fed at real-time pace, while the caller's audio has a gap.

There are gaps before the carrier's stream starts, while it is lost, on hold, and where a carrier sends nothing for a
silent caller. A look ten times a second whether any audio passed costs a frame nothing.
"""

from __future__ import annotations

from patter_core.aio.ticker import Ticker
from patter_core.audio import silence_of
from patter_core.call.uplink import Uplink
from patter_core.engine import EngineSession

__all__ = ["SteadyInput"]

_PIECE_MS = 100.0
_TICKER = Ticker(_PIECE_MS / 1000)


class SteadyInput:
    """Watches the caller's audio for a session, between `start` and `stop`.

    Args:
        uplink: carries the caller's audio to the session.
        session: which needs steady input.

    Raises:
        Exception: what the session raises when asked for its format.
    """

    def __init__(self, uplink: Uplink, session: EngineSession) -> None:
        self._silence = silence_of(session.input_format, _PIECE_MS)
        self._uplink = uplink
        self._session = session
        self._seen = -1

    def start(self) -> None:
        """The session is open."""
        _TICKER.add(self._look)

    def stop(self) -> None:
        """It is over."""
        _TICKER.remove(self._look)

    def _look(self) -> None:
        seen = self._uplink.frames_given
        if seen == self._seen:
            self._uplink.give_silence(self._session, self._silence)
        self._seen = seen
