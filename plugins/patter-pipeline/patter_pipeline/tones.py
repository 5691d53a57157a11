"""Whether a piece of audio is the tone of a telephone's key, which is no speech.

A key is two sines, one for its row and one for its column (ITU-T Q.23), and nothing else. So most of the energy of a
piece with a tone is at one of the four frequencies of rows and one of the four of columns. Speech has its energy at
more places, or elsewhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from operator import mul

from patter_core.audio import AudioChunk, Encoding
from patter_core.audio.g711 import SAMPLES

__all__ = ["is_tone"]

_LEAST_RATE = 8_000
"""Samples a second that are looked at, at least: twice the highest frequency, and more."""
_LONGEST = 0.02
"""Seconds that are looked at."""
_SHORTEST = 0.0125
"""With less, the frequencies cannot be told apart."""
_ROWS = (697.0, 770.0, 852.0, 941.0)
_COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
_SHARE = 0.6
"""Of the energy, which a tone has at its two frequencies, if they are 1.5 % off, as Q.24 allows."""
_LEAST_SHARE = 0.05
"""Of the energy, which each of them has: Q.24 lets a column be 8 dB weaker than a row, or 4 dB stronger."""

_Wave = tuple[tuple[float, ...], tuple[float, ...]]


def is_tone(chunk: AudioChunk) -> bool:
    """True if the audio is the tone of a key. It takes some 0.1 ms; audio shorter than 12.5 ms is none."""
    step = max(1, chunk.format.sample_rate // _LEAST_RATE)
    rate = chunk.format.sample_rate / step
    samples = _samples(chunk, step)
    energy = float(sum(map(mul, samples, samples)))
    if len(samples) < _SHORTEST * rate or not energy:
        return False
    rows, columns = _waves(len(samples), rate)
    whole = len(samples) * energy / 2
    row = max(_energy(wave, samples) for wave in rows) / whole
    column = max(_energy(wave, samples) for wave in columns) / whole
    return row + column >= _SHARE and min(row, column) >= _LEAST_SHARE


def _samples(chunk: AudioChunk, step: int) -> Sequence[int]:
    end = int(_LONGEST * chunk.format.sample_rate)
    if chunk.format.encoding is Encoding.PCM16:
        return memoryview(chunk.data).cast("h")[:end:step]
    linear = SAMPLES[chunk.format.encoding]
    return [linear[code] for code in chunk.data[:end:step]]


@functools.cache
def _waves(length: int, rate: float) -> tuple[list[_Wave], list[_Wave]]:
    rows = [_wave(frequency, length, rate) for frequency in _ROWS]
    return rows, [_wave(frequency, length, rate) for frequency in _COLUMNS]


def _wave(frequency: float, length: int, rate: float) -> _Wave:
    angles = [2 * math.pi * frequency * place / rate for place in range(length)]
    return tuple(map(math.cos, angles)), tuple(map(math.sin, angles))


def _energy(wave: _Wave, samples: Sequence[int]) -> float:
    cosine, sine = wave
    return float(sum(map(mul, cosine, samples)) ** 2 + sum(map(mul, sine, samples)) ** 2)
