"""Bell as a vocal. This module alone imports the contract of vocals, which need not be installed."""

from __future__ import annotations

import array
import dataclasses
import math
from typing import ClassVar

from patter_choir import Vocal
from patter_core.audio import PCM16_16000, AudioChunk, AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.errors import ConfigurationError

__all__ = ["Bell"]


@dataclasses.dataclass(frozen=True)
class Bell(Vocal):
    """Rings.

    Args:
        pitch: in Hz.
        seconds: how long.

    Raises:
        ConfigurationError: the pitch cannot be heard.
    """

    name: ClassVar[str] = "bell"

    pitch: float = 800.0
    seconds: float = 0.4

    def __post_init__(self) -> None:
        if not 100 <= self.pitch <= 3_000:
            raise ConfigurationError("Such a bell cannot be heard.", expected="Bell(pitch=…) of 100 to 3000")

    def sing(self, format: AudioFormat) -> AudioChunk:
        rate = PCM16_16000.sample_rate
        waves = (math.sin(2 * math.pi * self.pitch * n / rate) for n in range(round(self.seconds * rate)))
        samples = array.array("h", (round(10_000 * wave) for wave in waves))
        return AudioChunk(transcode(samples.tobytes(), PCM16_16000, format), format)
