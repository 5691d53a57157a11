"""Turns of an engine whose audio never stops: they are found by loudness, and the silence between them costs no delay.

Such an engine sends at the pace of real time. Each stall of ours would leave audio waiting, and the conversation would
lag behind for the rest of the call; so silence is left out while more than 200 ms wait.
"""

from __future__ import annotations

from collections.abc import Callable

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.gate import SpeechGate
from patter_core.call.downlink import Downlink
from patter_core.events import ResponseDone, ResponseStart

__all__ = ["GatedTurns"]


class GatedTurns:
    """Stands before the downlink, for one session.

    Args:
        format: of the session's audio.
        downlink: carries the agent's audio to the caller.
        report: takes the events that the engine does not give.
    """

    def __init__(
        self, format: AudioFormat, downlink: Downlink, report: Callable[[ResponseStart | ResponseDone], None]
    ) -> None:
        self.chunks = 0
        """How many the session has given."""
        self._gate = SpeechGate(format)
        self._downlink = downlink
        self._report = report
        self._number = 0
        self._is_speaking = False

    def take(self, chunk: AudioChunk) -> None:
        """Takes one chunk of the agent. Nothing is kept for a caller who is not here."""
        gate, downlink = self._gate, self._downlink
        self.chunks += 1
        gate.push(chunk)
        if gate.speaking and not self._is_speaking:
            self._is_speaking = True
            self._number += 1
            self._report(ResponseStart(turn=str(self._number)))
        if downlink.is_open:
            if self._is_speaking:
                downlink.play(chunk)
            else:
                downlink.play_silence(chunk, is_needed=not gate.silent)
        if self._is_speaking and not gate.speaking:
            self.close()

    def interrupted(self) -> None:
        """The turn is over, and is not done."""
        self._is_speaking = False

    def close(self) -> None:
        """The turn is done, if there is one: also at the end of the session."""
        if self._is_speaking:
            self._is_speaking = False
            self._report(ResponseDone(turn=str(self._number)))
