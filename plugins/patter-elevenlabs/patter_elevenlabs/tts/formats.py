"""Which format the service is asked for: the carrier's, where it can speak it."""

from __future__ import annotations

from patter_core.audio import AudioFormat, Encoding

__all__ = ["format_for"]

_RATES = (8_000, 16_000, 22_050, 24_000)
"""Of linear audio; 44,100 Hz takes a higher plan, and a voice has nothing beyond 12 kHz that a phone would carry."""


def format_for(preferred: AudioFormat) -> AudioFormat:
    """Returns the preferred format, or else the linear one with the next higher rate, 24 kHz at most."""
    if preferred.encoding is not Encoding.PCM16 and preferred.sample_rate == 8_000:
        return preferred
    rate = next((rate for rate in _RATES if rate >= preferred.sample_rate), _RATES[-1])
    return AudioFormat(Encoding.PCM16, rate)
