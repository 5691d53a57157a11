"""The audio formats of the service: G.711 as carriers speak it, else PCM at 24 kHz. A session chooses at its start."""

from __future__ import annotations

from patter_core.audio import ALAW_8000, ULAW_8000, AudioFormat, Encoding
from patter_openai import wire

__all__ = ["PCM16_24000", "audio_format", "nearest", "wire_format"]

PCM16_24000 = AudioFormat(Encoding.PCM16, 24_000)


def nearest(preferred: AudioFormat) -> AudioFormat:
    """Returns the carrier's own format if the service speaks it, else the one with the least loss."""
    return preferred if preferred in {ULAW_8000, ALAW_8000} else PCM16_24000


def wire_format(format: AudioFormat) -> wire.WireFormat:
    """Returns one of the formats of `nearest` as the service writes it."""
    if format == ULAW_8000:
        return wire.UlawFormat()
    return wire.AlawFormat() if format == ALAW_8000 else wire.PcmFormat()


def audio_format(format: wire.WireFormat) -> AudioFormat:
    """Returns the format that the service writes so."""
    match format:
        case wire.UlawFormat():
            return ULAW_8000
        case wire.AlawFormat():
            return ALAW_8000
        case wire.PcmFormat():
            return PCM16_24000
