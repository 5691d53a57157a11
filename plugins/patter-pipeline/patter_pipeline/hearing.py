"""Where the caller's speech begins and ends, as bare edges, and what time a place in their audio was.

The tone of a key sounds like a voice to a detector, and is no speech. Voice activity is given the caller's audio as it
came, or converted where it does not take the sample rate. If it fails, loudness takes its place to the end of the
conversation: a caller on a quiet line is still heard, and words decide what was noise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from patter_core.aio.foreign import as_exception
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.converter import Converter, make_converter
from patter_core.audio.gate import SpeechGate
from patter_core.errors import PatterError
from patter_pipeline.audio_clock import AudioClock
from patter_pipeline.parts import VoiceActivity
from patter_pipeline.tones import is_tone
from patter_pipeline.turns import inputs

__all__ = ["Ear"]

_log = logging.getLogger("patter.pipeline")

_LOOKS = 10
"""Chunks of a burst of speech that are looked at for a tone: after so many without one it is a voice."""
_BEGINS, _ENDS = 0.5, 0.35
"""Probabilities: what is between the two changes nothing."""
_LOUD_MS, _QUIET_MS = 40.0, 100.0
"""Of sound before it is speech, and of silence before it has ended, where loudness alone tells."""


class Ear:
    """Looks at the caller's audio, chunk by chunk.

    Args:
        part: voice activity.
        format: of the audio.
        take: is told of each edge.
        times: when each place in the audio was said.
    """

    def __init__(
        self,
        part: VoiceActivity,
        format: AudioFormat,
        *,
        take: Callable[[inputs.Input], None],
        times: AudioClock,
    ) -> None:
        self._format = format
        self._take = take
        self._times = times
        self._given = 0
        self._speaks = False
        self._looks = _LOOKS
        """How many more chunks are looked at."""
        self._converter: Converter | None = None
        """Makes what the part takes; None if that is the caller's format."""
        self._probability: Callable[[AudioChunk], float] = _nothing
        try:
            taken = part.input_format(format)
            self._converter = make_converter(format, taken)
            self._probability = part.start(taken)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            self._failed(raised)

    def hear(self, chunk: AudioChunk) -> None:
        """Takes the next audio. Never waits and never raises."""
        self._given += chunk.size
        self._times.give(chunk.size)
        taken = chunk if self._converter is None else self._converter.convert(chunk)
        if taken is None:  # the filter holds it back
            return
        try:
            probability = self._probability(taken)
            speaks = probability >= (_ENDS if self._speaks else _BEGINS)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            self._failed(raised)
            speaks = False
        if not speaks:
            self._looks = _LOOKS
        elif self._looks:
            speaks = not is_tone(taken)
            self._looks -= speaks
        if speaks is not self._speaks:
            self._speaks = speaks
            at = self._times.at(chunk.duration_ms)
            self._take(inputs.SpeechBegan(at) if speaks else inputs.SpeechEnded(at))

    def audio_ms(self, at: float) -> float:
        """Returns which place of the caller's audio was said at that time."""
        return self._format.duration_ms(self._given) - self._times.ago_ms(at)

    def _failed(self, raised: BaseException) -> None:
        """Loudness takes its place. An error of ours says all in one line; of another the traceback is needed."""
        error = as_exception(raised)
        if isinstance(error, PatterError):
            _log.warning("Loudness takes the place of voice activity in this conversation: %s", error)
        else:
            _log.error("Voice activity failed: loudness takes its place in this conversation.", exc_info=error)
        self._converter = None
        gate = SpeechGate(self._format, begin_ms=_LOUD_MS, end_ms=_QUIET_MS)

        def loudness(chunk: AudioChunk) -> float:
            gate.push(chunk)
            return float(gate.speaking)

        self._probability = loudness


def _nothing(_: AudioChunk) -> float:
    return 0.0
