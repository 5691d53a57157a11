"""The contracts of voice activity and of the detection of the end of a turn."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import ClassVar

from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.kinds import Part

__all__ = ["ACTIVITY_API_VERSION", "TurnDetector", "VoiceActivity"]

ACTIVITY_API_VERSION = 1


class VoiceActivity(Part):
    """Tells speech from other sound."""

    api_version: ClassVar[int] = ACTIVITY_API_VERSION
    sample_rates: ClassVar[tuple[int, ...]] = ()
    """Those that it takes, in Hz; empty for any. Audio of another rate is converted to the first one, linear."""

    @abc.abstractmethod
    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        """Returns a function for one call: it takes its next chunk, and returns the probability of speech (0 to 1).

        It is called on the event loop for every chunk, 20 ms as a rule: it takes 0.5 ms at most, and does not wait.

        Args:
            format: what `input_format` returns: G.711 at 8000 Hz, or linear at one of `sample_rates`.
        """

    def input_format(self, format: AudioFormat) -> AudioFormat:
        """Returns what it is given where the caller's audio has that format: the same if it takes the rate."""
        rates = self.sample_rates
        return AudioFormat(Encoding.PCM16, rates[0]) if rates and format.sample_rate not in rates else format


class TurnDetector(Part):
    """Tells whether what the caller said is complete."""

    api_version: ClassVar[int] = ACTIVITY_API_VERSION

    @abc.abstractmethod
    async def complete(self, text: str, audio: AudioChunk) -> float:
        """Returns the probability that the caller's turn is complete (0 to 1).

        It runs in a thread with an event loop of its own. An answer after 150 ms is ignored.

        Args:
            text: of the turn so far.
            audio: of the turn so far, its last 8 s at most, linear at 16 kHz.
        """
