"""PCM16 as arrays of numpy, in which tests measure it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from patter_core.audio import Encoding
from patter_core.audio.g711 import decode, encode

__all__ = ["compress", "expand", "to_bytes", "to_samples"]


def to_samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, "<i2").astype(np.int16)


def to_bytes(samples: NDArray[np.int16]) -> bytes:
    return samples.astype("<i2").tobytes()


def expand(data: bytes, law: Encoding) -> NDArray[np.int16]:
    return to_samples(decode(data, law))


def compress(samples: NDArray[np.int16], law: Encoding) -> bytes:
    return encode(to_bytes(samples), law)
