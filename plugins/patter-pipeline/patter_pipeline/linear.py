"""Linear samples of what carriers send, without numpy, which a call in one format does without."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from patter_core.audio import Encoding
from patter_core.audio.gate import SAMPLES

__all__ = ["LINEAR"]


def _as_it_is(data: bytes) -> bytes:
    return data


def _expander(samples: Sequence[int]) -> Callable[[bytes], bytes]:
    """Returns what makes linear samples of G.711 codes: two look-ups of all codes at once, without numpy."""
    written = [sample.to_bytes(2, "little", signed=True) for sample in samples]
    low, high = bytes(sample[0] for sample in written), bytes(sample[1] for sample in written)

    def expand(data: bytes) -> bytes:
        linear = bytearray(2 * len(data))
        linear[0::2] = data.translate(low)
        linear[1::2] = data.translate(high)
        return bytes(linear)

    return expand


LINEAR: dict[Encoding, Callable[[bytes], bytes]] = {
    Encoding.ULAW: _expander(SAMPLES[Encoding.ULAW]),
    Encoding.ALAW: _expander(SAMPLES[Encoding.ALAW]),
    Encoding.PCM16: _as_it_is,
}
"""By encoding: what makes PCM16 of the audio. 20 ms of G.711 cost some 2 μs."""
