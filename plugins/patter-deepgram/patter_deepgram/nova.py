"""Speech recognition by `/v1/listen`, sans-IO: Nova's results as the events of a session.

The service recognises stretch after stretch of the audio. Of each it tells interim texts, which replace each other,
and a final one. `speech_final` says that the caller paused, `UtteranceEnd` that no word came for a while: the first is
about sound, and never comes in noise; the second is about words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from patter_deepgram.clock import AudioClock
from patter_deepgram.failures import Told
from patter_deepgram.recogniser import Recogniser, Step
from patter_deepgram.wire import nova as wire
from patter_deepgram.wire.decoding import Anomaly, Decoder
from patter_deepgram.words import words_of
from patter_pipeline.parts import EndOfTurn, Final, Interim

__all__ = ["Nova"]

_LONGEST_TURN = 100_000
"""Letters of a turn, after which it is over."""


class Nova(Recogniser):
    """One session.

    Args:
        clock: of its audio.
        ends_turns: the service's own pauses end the caller's turns.
    """

    finalize: ClassVar[bytes] = wire.FINALIZE
    keep_alive: ClassVar[bytes] = wire.KEEP_ALIVE

    def __init__(self, clock: AudioClock, *, ends_turns: bool) -> None:
        self._clock = clock
        self._ends_turns = ends_turns
        self._decoder = Decoder(wire.nova_decoder, wire.IGNORED_TYPES)
        self._interim = ""
        """What was recognised after the last final text."""
        self._last: tuple[float, float, str] = (0.0, 0.0, "")
        """Where the last final text begins and ends, in the service's seconds, and the text."""
        self._turn: list[Final] = []
        """The final texts of the turn."""
        self._is_ending = False
        """The turn is over with the next final text."""

    @property
    def anomalies(self) -> Counter[Anomaly]:
        return self._decoder.anomalies

    def take(self, message: bytes) -> Sequence[Step]:
        match self._decoder.decode(message):
            case wire.Results(is_final=True) as results:
                return self._final(results)
            case wire.Results() as results:
                return self._tentative(results)
            case wire.UtteranceEnd() if self._ends_turns:
                if self._interim:  # the last words are not final yet
                    self._is_ending = True
                    return [wire.FINALIZE]
                return self._end_turn()
            case wire.Error(variant=variant, code=code, description=description, message=text):
                self.last_error = Told(code or variant or "", description or text or "")
                return []
            case _:
                return []

    def _tentative(self, results: wire.Results) -> list[Step]:
        text = _text(results)
        until = results.start + results.duration
        is_late = results.start < self._last[1] and until <= self._last[1]
        if text == self._interim or is_late:
            return []
        self._interim = text
        return [Interim(text, self._span(results)[0])]

    def _final(self, results: wire.Results) -> list[Step]:
        text = _text(results)
        stretch = (results.start, results.start + results.duration, text)
        steps: list[Step] = []
        if text and stretch != self._last:  # it may be delivered twice
            self._last = stretch
            started, ended = self._span(results)
            words = words_of(text, results.channel.alternatives[0].words, self._clock.ms)
            final = Final(text, started, ended, words)
            steps.append(final)
            if self._ends_turns:
                self._turn.append(final)
        elif self._interim and not text:  # it was no speech
            steps.append(Interim("", self._span(results)[0]))
        self._interim = ""
        if results.speech_final or self._is_ending or sum(len(one.text) for one in self._turn) > _LONGEST_TURN:
            steps += self._end_turn()
        return steps

    def _end_turn(self) -> list[Step]:
        self._is_ending = False
        finals, self._turn = self._turn, []
        if not finals:
            return []
        return [EndOfTurn(" ".join(final.text for final in finals), finals[0].started_ms)]

    def _span(self, results: wire.Results) -> tuple[float, float]:
        """Returns where the words begin and end: the stretch itself has silence around them."""
        alternatives = results.channel.alternatives
        words = alternatives[0].words if alternatives else ()
        start, end = results.start, results.start + results.duration
        if words and words[0].start is not None and words[-1].end is not None:
            start, end = words[0].start, words[-1].end
        started = self._clock.ms(start)
        return started, max(started, self._clock.ms(end))


def _text(results: wire.Results) -> str:
    alternatives = results.channel.alternatives
    return alternatives[0].transcript.strip() if alternatives else ""
