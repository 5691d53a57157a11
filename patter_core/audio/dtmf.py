"""The tones of a telephone's keys, as audio.

Each key is two sines, one for its row and one for its column (ITU-T Q.23). Q.24 asks receivers to take tones of 40 ms
and pauses of 40 ms; networks and echo cancellers eat some of that, so these are 120 and 80 ms.
"""

from __future__ import annotations

import math
import struct

from patter_core.audio.chunk import AudioChunk, AudioFormat, Encoding
from patter_core.audio.g711 import encode
from patter_core.errors import AudioError

__all__ = ["PAUSE_MS", "TONE_MS", "tones"]

TONE_MS = 120
PAUSE_MS = 80
_WAIT_MS = 500
"""What `w` stands for."""
_LEVEL = 8_000
"""Of each sine, of 32767: about -12 dBm0, the middle of what receivers take (Q.24)."""

_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYS = {key: (_ROWS[index // 4], _COLUMNS[index % 4]) for index, key in enumerate("123A456B789C*0#D")}


def tones(digits: str, format: AudioFormat) -> AudioChunk:
    """The keys one after the other, each followed by a pause; `w` is half a second of silence.

    Raises:
        AudioError: a key that no telephone has.
    """
    pcm = b"".join(_key(digit.upper(), format.sample_rate) for digit in digits)
    return AudioChunk(pcm if format.encoding is Encoding.PCM16 else encode(pcm, format.encoding), format)


def _key(digit: str, rate: int) -> bytes:
    if digit == "W":
        return bytes(2 * (_WAIT_MS * rate // 1000))
    if digit not in _KEYS:
        raise AudioError("A key that no telephone has.", expected="0-9, *, #, A-D or w")
    row, column = (2 * math.pi * frequency / rate for frequency in _KEYS[digit])
    tone = [int(_LEVEL * (math.sin(row * at) + math.sin(column * at))) for at in range(TONE_MS * rate // 1000)]
    return struct.pack(f"<{len(tone)}h", *tone) + bytes(2 * (PAUSE_MS * rate // 1000))
