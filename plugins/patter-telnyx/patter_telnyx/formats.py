"""Telnyx's codecs as audio formats.

The names are those of Telnyx's page "Media streaming over WebSockets". Telnyx does not document the byte order of L16:
RFC 3551 says big-endian, Telnyx's own demo reads little-endian. So it is a setting, little-endian by default.
"""

from __future__ import annotations

import array
import enum
from typing import Literal

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding

__all__ = ["ByteOrder", "Codec", "stream_format", "swapped"]

ByteOrder = Literal["little", "big"]
"""Of L16 samples on the wire."""


class Codec(enum.StrEnum):
    """The codecs of agent audio."""

    PCMU = "PCMU"
    PCMA = "PCMA"
    L16 = "L16"

    @property
    def audio_format(self) -> AudioFormat:
        """The format. L16 has 16 kHz."""
        return _FORMATS[self]


_FORMATS = {Codec.PCMU: ULAW_8000, Codec.PCMA: ALAW_8000, Codec.L16: PCM16_16000}

_L16_RATES = frozenset({8_000, 16_000, 22_050, 24_000, 48_000})


def stream_format(encoding: str, sample_rate: int, channels: int) -> AudioFormat | None:
    """Returns the format that a stream's `start` names; None if it is not supported, such as G722 or OPUS."""
    if channels != 1:
        return None
    match encoding.upper(), sample_rate:
        case "PCMU", 8_000:
            return ULAW_8000
        case "PCMA", 8_000:
            return ALAW_8000
        case "L16", rate if rate in _L16_RATES:
            return AudioFormat(Encoding.PCM16, rate)
        case _:
            return None


def swapped(chunk: AudioChunk) -> AudioChunk:
    """Returns the chunk with the two bytes of each sample exchanged."""
    samples = array.array("H", chunk.data)
    samples.byteswap()
    return AudioChunk(samples.tobytes(), chunk.format)
