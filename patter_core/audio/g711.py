"""G.711: μ-law and A-law to linear samples and back, by tables.

Source: ITU-T Recommendation G.711, tables 1 and 2, scaled to 16 bits as the programs of ITU-T G.191 do: μ-law, a code
of 14 bits, spans -32124 to 32124; A-law, one of 13 bits, spans -32256 to 32256. A negative sample is mirrored as its
ones' complement, so that both halves are equal in size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from patter_core.audio.chunk import Encoding
from patter_core.errors import AudioError

__all__ = ["alaw_to_ulaw", "compress", "decode", "encode", "expand", "ulaw_to_alaw"]

# Half of either law is 128 intervals of magnitude: 8 segments of 16 steps, the step doubling from segment to segment
# (A-law: from the second on). An interval is named by segment * 16 + step.
_SEGMENT, _STEP = np.divmod(np.arange(128), 16)
_ULAW_BIAS = 132
_ULAW_FLOORS = ((16 + _STEP) << (_SEGMENT + 3)) - _ULAW_BIAS
_ULAW_LEVELS = ((33 + 2 * _STEP) << (_SEGMENT + 2)) - _ULAW_BIAS
_ALAW_SHIFT = np.maximum(_SEGMENT, 1) + 3
_ALAW_FLOORS = (np.where(_SEGMENT > 0, 16, 0) + _STEP) << _ALAW_SHIFT
_ALAW_LEVELS = _ALAW_FLOORS + (1 << (_ALAW_SHIFT - 1))
# How an interval is written: μ-law inverts all bits, A-law every other one; the sign bit is set if positive.
_ULAW_POSITIVE = 0xFF
_ALAW_POSITIVE = 0x80 ^ 0x55


def _linear_of_code(levels: NDArray[np.int64], positive: int) -> NDArray[np.int16]:
    """For each of 256 codes its sample."""
    table = np.zeros(256, np.int16)
    intervals = np.arange(128)
    table[intervals ^ positive] = levels
    table[intervals ^ positive ^ 0x80] = -levels
    return table


def _code_of_linear(floors: NDArray[np.int64], positive: int) -> NDArray[np.uint8]:
    """For each of 65536 samples its code: the samples from 0 up, then those from -32768 to -1."""
    intervals = np.searchsorted(floors, np.arange(32_768), side="right") - 1
    codes = (intervals ^ positive).astype(np.uint8)
    return np.concatenate((codes, codes[::-1] ^ 0x80))  # -1 mirrors 0, and -32768 mirrors 32767


_LINEAR: Mapping[Encoding, NDArray[np.int16]] = {
    Encoding.ULAW: _linear_of_code(_ULAW_LEVELS, _ULAW_POSITIVE),
    Encoding.ALAW: _linear_of_code(_ALAW_LEVELS, _ALAW_POSITIVE),
}
_CODES: Mapping[Encoding, NDArray[np.uint8]] = {
    Encoding.ULAW: _code_of_linear(_ULAW_FLOORS, _ULAW_POSITIVE),
    Encoding.ALAW: _code_of_linear(_ALAW_FLOORS, _ALAW_POSITIVE),
}


def expand(data: bytes, law: Encoding) -> NDArray[np.int16]:
    """The samples that G.711 codes stand for.

    Args:
        data: codes, one byte each.
        law: `Encoding.ULAW` or `Encoding.ALAW`.
    """
    return _LINEAR[law].take(np.frombuffer(data, np.uint8), mode="clip")  # quicker than to check each code


def compress(samples: NDArray[np.int16], law: Encoding) -> bytes:
    """The G.711 codes of samples, one byte each; the reverse of `expand`."""
    return _CODES[law].take(samples, mode="wrap").tobytes()  # a negative sample counts from the table's end


def decode(data: bytes, law: Encoding) -> bytes:
    """G.711 codes as PCM16, little-endian."""
    return expand(data, law).astype("<i2", copy=False).tobytes()


def encode(pcm: bytes, law: Encoding) -> bytes:
    """PCM16, little-endian, as G.711 codes.

    Raises:
        AudioError: `pcm` ends in the middle of a sample.
    """
    if len(pcm) % 2:
        raise AudioError("Audio that ends in the middle of a sample.", expected="whole PCM16", got=f"{len(pcm)} bytes")
    return compress(np.frombuffer(pcm, "<i2").astype(np.int16, copy=False), law)


_EVERY_CODE = bytes(range(256))
_ULAW_TO_ALAW = compress(expand(_EVERY_CODE, Encoding.ULAW), Encoding.ALAW)
_ALAW_TO_ULAW = compress(expand(_EVERY_CODE, Encoding.ALAW), Encoding.ULAW)


def ulaw_to_alaw(data: bytes) -> bytes:
    """μ-law as A-law, by way of the linear sample."""
    return data.translate(_ULAW_TO_ALAW)


def alaw_to_ulaw(data: bytes) -> bytes:
    """A-law as μ-law, by way of the linear sample."""
    return data.translate(_ALAW_TO_ULAW)
