"""The audio formats of the service: G.711 as carriers speak it, and linear audio at many rates, all raw."""

from __future__ import annotations

from patter_core.audio import AudioFormat, Encoding

__all__ = ["FLUX_RATES", "NOVA_RATES", "SPEAK_RATES", "nearest", "parameters"]

NOVA_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
FLUX_RATES = (8_000, 16_000, 24_000, 44_100, 48_000)
SPEAK_RATES = (8_000, 16_000, 24_000, 32_000, 48_000)
"""The sample rates of linear audio."""

_G711_RATES = (8_000, 16_000)
_ENCODINGS = {Encoding.ULAW: "mulaw", Encoding.ALAW: "alaw", Encoding.PCM16: "linear16"}


def nearest(preferred: AudioFormat, rates: tuple[int, ...]) -> AudioFormat:
    """Returns the preferred format if the service has it, else linear audio at the next higher rate, or the highest."""
    if preferred.sample_rate in (rates if preferred.encoding is Encoding.PCM16 else _G711_RATES):
        return preferred
    return AudioFormat(
        Encoding.PCM16, min((rate for rate in rates if rate >= preferred.sample_rate), default=rates[-1])
    )


def parameters(format: AudioFormat) -> tuple[tuple[str, str], ...]:
    """Returns a format as a query says it."""
    return (("encoding", _ENCODINGS[format.encoding]), ("sample_rate", str(format.sample_rate)))
