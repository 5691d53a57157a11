"""Where the caller's speech begins and ends, as bare edges, and what time a place in their audio was.

The tone of a key sounds like a voice to a detector, and is no speech.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from patter_core.aio.foreign import as_exception
from patter_core.audio import AudioChunk, AudioFormat
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
        self._probability: Callable[[AudioChunk], float] = _nothing
        try:
            self._probability = part.start(format)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            self._failed(raised)

    def hear(self, chunk: AudioChunk) -> None:
        """Takes the next audio. Never waits and never raises."""
        self._given += chunk.size
        self._times.give(chunk.size)
        try:
            probability = self._probability(chunk)
            speaks = probability >= (_ENDS if self._speaks else _BEGINS)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            self._failed(raised)
            speaks = False
        if not speaks:
            self._looks = _LOOKS
        elif self._looks:
            speaks = not is_tone(chunk)
            self._looks -= speaks
        if speaks is not self._speaks:
            self._speaks = speaks
            at = self._times.at(chunk.duration_ms)
            self._take(inputs.SpeechBegan(at) if speaks else inputs.SpeechEnded(at))

    def audio_ms(self, at: float) -> float:
        """Returns which place of the caller's audio was said at that time."""
        return self._format.duration_ms(self._given) - self._times.ago_ms(at)

    def _failed(self, raised: BaseException) -> None:
        """Without voice activity, words alone tell that the caller speaks."""
        _log.error("Voice activity failed, and is not asked again in this conversation.", exc_info=as_exception(raised))
        self._probability = _nothing


def _nothing(_: AudioChunk) -> float:
    return 0.0
