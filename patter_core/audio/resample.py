"""Change of the sample rate, as a stream: a polyphase FIR filter, computed with large integers.

With the rates reduced to L (out) and M (in), output j of a stream reads the inputs around j * M / L, and after M inputs
and L outputs, which are one period, the same taps come again. Every M-th input is a digit of one large integer, in base
2^40, and so are the taps that meet them. The product of two such integers is their convolution: it has an output of
each period among its digits. One multiplication stands for thousands, without any library:

=================  ==================================================================================================
pass band          flat within 0.02 dB up to 0.425 of the lower rate: 3.4 kHz at 8000 Hz
stop band          65 dB down from 0.575 of the lower rate on: 4.6 kHz at 8000 Hz
delay              14 samples of the lower rate (1.8 ms at 8000 Hz, 0.9 ms at 16000 Hz); `flush` gives what is inside
a frame of 20 ms   8000 to 16000 Hz: 12 μs, and back: 16 μs; 24000 to 8000: 23 μs; 48000 to 8000: 43 μs
=================  ==================================================================================================

Rates of the other family, 22050 and 44100 Hz, have long periods of 10 or 20 ms and as many phases: 2 ms a frame, or a
fiftieth of the processor for chunks of 100 ms. Engines offer rates of the telephone's family, too.

**Exact.** Samples are integers and taps are multiples of 2^-16, so every sum is exact. What comes out therefore does
not depend on how the input was cut, on the order of summation, or on the machine.
"""

from __future__ import annotations

import functools
import math
from operator import mul

import msgspec

from patter_core.errors import AudioError

__all__ = ["Resampler", "is_convertible"]

_PASS = 0.425
"""Where the pass band ends, as a part of the lower rate: for the telephone at 3400 Hz, as its band (ITU-T G.712)."""
_STOP = 1 - _PASS
"""Where the stop band begins, as a part of the lower rate. Half of that rate is in the middle between the two: what is
folded back, or mirrored, comes above the pass band. And every L-th tap, or every M-th one, is 0 but for the centre: at
a rate that is L times as high, every L-th output is an input."""
_ATTENUATION_DB = 66.0
_TAP_BITS = 16
_MAX_PERIOD = 1_000
"""Rates whose ratio needs larger numbers would need as many phases. 22050 to 16000 is 320 to 441."""

_DIGIT = 5
"""Bytes. A sum of products of 16 bits each has 34, and stands between 2^-39 and 2^39."""
_BASE = 8 * _DIGIT
_MIDDLE = 1 << 15
"""What is added to a sample, so that it is not negative."""
_FLIP = bytes(code ^ 0x80 for code in range(256))
"""Of the high byte of a sample: adds `_MIDDLE`, or subtracts it."""
_IN_RANGE = 0x80
"""The byte above the two of an output that needs no clipping."""


class _Phase(msgspec.Struct, frozen=True):
    """One output of each period."""

    reads: tuple[int, ...]
    """Which inputs, as their places in a period, modulo M."""
    taps: tuple[int, ...]
    """For each of these, its taps in this and the following periods, as one integer; the last one lowest."""
    offset: int
    """What is added to each digit: so that none is negative, to round, and for what was added to the samples."""
    copies: int | None
    """The place of the input that this output equals; None if it is computed."""


class _Plan(msgspec.Struct, frozen=True):
    """How to go from one rate to another."""

    up: int
    down: int
    reach: int
    """How many inputs on either side of its place an output reads."""
    beyond: int
    """How many periods after its own an output reads."""
    phases: tuple[_Phase, ...]


def is_convertible(source_rate: int, target_rate: int) -> bool:
    """True if there is a conversion between these two sample rates."""
    return max(source_rate, target_rate) // math.gcd(source_rate, target_rate) <= _MAX_PERIOD


@functools.cache
def _plan(source_rate: int, target_rate: int) -> _Plan:
    common = math.gcd(source_rate, target_rate)
    up, down = target_rate // common, source_rate // common
    if not is_convertible(source_rate, target_rate):
        raise AudioError(
            "No conversion between these sample rates.",
            expected=f"two rates in a ratio of whole numbers up to {_MAX_PERIOD}",
            got=f"{source_rate} and {target_rate} Hz",
        )
    taps = _low_pass(source_rate, target_rate, up)
    reach = len(taps) // 2 // up
    beyond = ((up - 1) * down // up + 2 * reach) // down
    phases = tuple(_phase(number, up=up, down=down, beyond=beyond, taps=taps) for number in range(up))
    return _Plan(up, down, reach, beyond, phases)


def _low_pass(source_rate: int, target_rate: int, up: int) -> list[int]:
    """A sinc under a Kaiser window, at the rate `source_rate * up`; on either side of its centre are whole inputs."""
    lower = min(source_rate, target_rate)
    transition = (_STOP - _PASS) * lower / source_rate
    half = math.ceil((_ATTENUATION_DB - 7.95) / (14.36 * transition) / 2) * up  # Kaiser's formula for the length
    beta = 0.1102 * (_ATTENUATION_DB - 8.7)  # and for the window's shape
    cutoff = (_PASS + _STOP) * lower / (source_rate * up)
    scale = cutoff * up * (1 << _TAP_BITS) / _bessel(beta)
    side = [
        round(scale * _sinc(cutoff * place) * _bessel(beta * math.sqrt(1 - (place / half) ** 2)))
        for place in range(half + 1)
    ]
    return side[:0:-1] + side


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _bessel(x: float) -> float:
    """The modified Bessel function of the first kind, of order 0."""
    total = term = count = 1.0
    while term > 1e-12 * total:
        term *= (x / 2 / count) ** 2
        total += term
        count += 1
    return total


def _phase(number: int, *, up: int, down: int, beyond: int, taps: list[int]) -> _Phase:
    reach = len(taps) // 2 // up
    first = number * down // up
    found, total = [0] * down, 0
    for read in range(first, first + 2 * reach + 1):
        place = number * down - (read - 2 * reach) * up
        if place < len(taps):
            total += taps[place]
            found[read % down] += taps[place] << (_BASE * (beyond - read // down))
    offset = (1 << (_BASE - 1)) + (1 << (_TAP_BITS - 1)) + _MIDDLE * ((1 << _TAP_BITS) - total)
    reads = tuple(index for index, some in enumerate(found) if some)
    centre = first + reach  # the first output of a period stands where an input does
    is_input = len(reads) == 1 and found[reads[0]] == 1 << (_TAP_BITS + _BASE * (beyond - centre // down))
    return _Phase(reads, tuple(found[index] for index in reads), offset, centre if is_input else None)


@functools.lru_cache(256)
def _ones(digits: int) -> int:
    return ((1 << (_BASE * digits)) - 1) // ((1 << _BASE) - 1)


class Resampler:
    """One stream of PCM16, little-endian, from `source_rate` to `target_rate` (Hz).

    Raises:
        AudioError: the two rates have no handy ratio, such as 8000 to 7999.
    """

    __slots__ = ("_given", "_held", "_plan")

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._plan = _plan(source_rate, target_rate)
        self._reset()

    def _reset(self) -> None:
        self._held = bytes(2 * self._plan.reach)
        """The inputs that outputs to come will read, from the start of a period on; silence before the first."""
        self._given = 0
        """How many outputs of that period have been given."""

    @property
    def delay(self) -> int:
        """How many inputs stay inside until there are more, or `flush`."""
        return self._plan.reach

    def process(self, pcm: bytes) -> bytes:
        """Takes any number of whole samples, and returns those that can be computed by now."""
        plan = self._plan
        held = self._held + pcm
        known = len(held) // 2 - 2 * plan.reach
        ready = max(self._given, -(-known * plan.up // plan.down))
        outputs = b""
        if ready > self._given:
            outputs = self._periods(held, -(-ready // plan.up))[2 * self._given : 2 * ready]
        whole = ready // plan.up
        self._held = held[2 * whole * plan.down :]
        self._given = ready - whole * plan.up
        return outputs

    def flush(self) -> bytes:
        """Gives the rest, as if silence followed, and is as new. All outputs together last as long as all inputs."""
        rest = self.process(bytes(2 * self._plan.reach))
        self._reset()
        return rest

    def _periods(self, held: bytes, count: int) -> bytes:
        """The outputs of the first periods. What read beyond the end of `held` is wrong: the caller cuts."""
        plan = self._plan
        held = held.ljust(2 * plan.down * (count + plan.beyond), b"\0")
        columns = _columns(held, plan.down, count + plan.beyond)
        ones = _ones(count + 2 * plan.beyond)
        size = _DIGIT * (count + 2 * plan.beyond)
        first, end = _DIGIT * plan.beyond, _DIGIT * (plan.beyond + count)
        outputs = bytearray(2 * count * plan.up)
        for number, phase in enumerate(plan.phases):
            if phase.copies is not None:
                for byte in (0, 1):
                    copied = held[2 * phase.copies + byte :: 2 * plan.down]
                    outputs[2 * number + byte :: 2 * plan.up] = copied[:count]
                continue
            inputs = [columns[index] for index in phase.reads]
            digits = sum(map(mul, inputs, phase.taps), ones * phase.offset).to_bytes(size, "little")
            low, high, above = (digits[first + place : end : _DIGIT] for place in (2, 3, 4))
            if above.count(_IN_RANGE) < count:
                low, high = _clipped(low, high, above)
            outputs[2 * number :: 2 * plan.up] = low
            outputs[2 * number + 1 :: 2 * plan.up] = high.translate(_FLIP)
        return bytes(outputs)


def _columns(pcm: bytes, down: int, periods: int) -> list[int]:
    """Every `down`-th sample, from each of the first `down` ones on, as the digits of one integer."""
    whole = pcm[: 2 * down * periods]
    low, high = whole[0::2], whole[1::2].translate(_FLIP)
    digits, columns = bytearray(_DIGIT * periods), list[int]()
    for index in range(down):
        digits[0::_DIGIT] = low[index::down]
        digits[1::_DIGIT] = high[index::down]
        columns.append(int.from_bytes(digits, "little"))
    return columns


def _clipped(low: bytes, high: bytes, above: bytes) -> tuple[bytes, bytes]:
    """The two bytes of outputs, those that are out of range at its end."""
    ends = bytes(0 if byte < _IN_RANGE else 0xFF for byte in range(256))
    kept = [byte == _IN_RANGE for byte in above]
    limits = above.translate(ends)
    return (
        bytes(one if keep else limit for one, keep, limit in zip(low, kept, limits, strict=True)),
        bytes(one if keep else limit for one, keep, limit in zip(high, kept, limits, strict=True)),
    )
