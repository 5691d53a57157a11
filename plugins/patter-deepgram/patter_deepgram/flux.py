"""Speech recognition by `/v2/listen`, sans-IO: Flux's turns as the events of a session.

Each message has the text of the whole turn so far. The service ends turns by itself.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from patter_core.observe.terminal import one_line
from patter_deepgram.clock import AudioClock
from patter_deepgram.failures import Told, failed
from patter_deepgram.recogniser import Recogniser, Step
from patter_deepgram.wire import flux as wire
from patter_deepgram.wire.decoding import Anomaly, Decoder
from patter_pipeline.parts import EagerEnd, EndOfTurn, Interim, TurnResumed

__all__ = ["Flux"]

_log = logging.getLogger("patter.deepgram")

_WARNED = 16
"""Kinds of warnings that are logged of one session."""


class Flux(Recogniser):
    """One session.

    Args:
        clock: of its audio.
    """

    def __init__(self, clock: AudioClock) -> None:
        self.is_connected = False
        """The service is ready for audio."""
        self._clock = clock
        self._decoder = Decoder(wire.flux_decoder, wire.IGNORED_TYPES)
        self._turn = -1
        """The index of the latest turn."""
        self._ended = -1
        """The index of the last turn that is over."""
        self._started_ms = 0.0
        self._has_words = False
        """The beginning of the turn is that of its first word."""
        self._text = ""
        """Of the turn, as it was told."""
        self._eager = ""
        """The text that was told as the probable end; "" if the turn went on."""
        self._warned: set[str] = set()

    @property
    def anomalies(self) -> Counter[Anomaly]:
        return self._decoder.anomalies

    def take(self, message: bytes) -> Sequence[Step]:
        match self._decoder.decode(message):
            case wire.TurnInfo() as info:
                return self._turn_info(info)
            case wire.Connected():
                self.is_connected = True
            case wire.Error(code=code, description=description):
                return [failed(Told(code, description))]
            case wire.Warning_(code=code, description=description):
                self._warn(code, description)
            case _:
                pass
        return []

    def _turn_info(self, info: wire.TurnInfo) -> list[Step]:
        if info.turn_index <= self._ended or info.turn_index < self._turn:
            return []
        if info.turn_index > self._turn:
            self._turn = info.turn_index
            self._text = self._eager = ""
            self._has_words = False
            self._started_ms = self._clock.ms(info.audio_window_start)
        if not self._has_words and info.words and info.words[0].start is not None:
            self._has_words = True
            self._started_ms = self._clock.ms(info.words[0].start)
        text = info.transcript.strip()
        match info.event:
            case "EndOfTurn":
                return self._end_turn(text)
            case "EagerEndOfTurn":
                if not text or text == self._eager:
                    return []
                self._text = self._eager = text
                return [EagerEnd(text)]
            case "TurnResumed":
                resumed: list[Step] = [TurnResumed()] if self._eager else []
                self._eager = ""
                return resumed + self._update(text)
            case _:  # StartOfTurn, Update, and events that are new
                return self._update(text)

    def _update(self, text: str) -> list[Step]:
        if text == self._text:
            return []
        self._text = text
        return [Interim(text, self._started_ms)]

    def _end_turn(self, text: str) -> list[Step]:
        self._ended = self._turn
        if text:
            return [EndOfTurn(text, self._started_ms)]
        return self._update("")  # it was no speech

    def _warn(self, code: str, description: str) -> None:
        if code not in self._warned and len(self._warned) < _WARNED:
            self._warned.add(code)
            _log.warning("Deepgram warns: %s: %s", one_line(code[:100]), one_line(description[:300]))
