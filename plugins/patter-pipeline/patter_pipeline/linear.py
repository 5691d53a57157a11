"""Linear samples of what carriers send."""

from __future__ import annotations

import functools
from collections.abc import Callable

from patter_core.audio import Encoding
from patter_core.audio.g711 import decode

__all__ = ["LINEAR"]

LINEAR: dict[Encoding, Callable[[bytes], bytes]] = {
    Encoding.ULAW: functools.partial(decode, law=Encoding.ULAW),
    Encoding.ALAW: functools.partial(decode, law=Encoding.ALAW),
    Encoding.PCM16: bytes,
}
"""By encoding: what makes PCM16 of the audio. 20 ms of G.711 cost some 2 μs."""
