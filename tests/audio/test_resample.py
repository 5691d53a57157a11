"""The filter's promises, measured on what comes out of it."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from patter_core.audio.resample import Resampler
from patter_core.errors import AudioError
from tests.pcm import to_bytes, to_samples

Samples = NDArray[np.int16]

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]
PAIRS = [(source, target) for source in RATES for target in RATES if source != target]
FROM_TELEPHONE = [(8_000, rate) for rate in RATES[1:]]
TO_TELEPHONE = [(rate, 8_000) for rate in RATES[1:]]
AMPLITUDE = 16_000


def tone(frequency: float, rate: int, seconds: float = 0.5) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    samples: Samples = np.rint(AMPLITUDE * np.sin(2 * np.pi * frequency * time)).astype(np.int16)
    return samples


def whole(samples: Samples, source: int, target: int) -> Samples:
    resampler = Resampler(source, target)
    return to_samples(resampler.process(to_bytes(samples)) + resampler.flush())


def level_and_rest(samples: Samples, frequency: float, rate: int) -> tuple[float, float]:
    """In dB against the tone that went in: the tone, and everything else. The ends, where it starts, are left out."""
    first, last = round(0.1 * rate), round(0.4 * rate)
    time = np.arange(first, last) / rate
    wave = np.stack((np.sin(2 * np.pi * frequency * time), np.cos(2 * np.pi * frequency * time)), axis=1)
    middle = samples[first:last].astype(float)
    fit = np.linalg.lstsq(wave, middle, rcond=None)[0]
    rest = middle - wave @ fit
    return decibel(float(np.hypot(*fit)) / AMPLITUDE), decibel(math.sqrt(2 * float(np.mean(rest**2))) / AMPLITUDE)


def decibel(ratio: float) -> float:
    return 20 * math.log10(max(ratio, 1e-9))


def cut(samples: Samples, sizes: Sequence[int]) -> Iterator[Samples]:
    start = 0
    for size in sizes:
        yield samples[start : start + size]
        start += size
    yield samples[start:]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_pass_band_is_flat(source: int, target: int) -> None:
    for frequency in np.linspace(100, 0.425 * min(source, target), 12):
        level, _ = level_and_rest(whole(tone(frequency, source), source, target), frequency, target)
        assert abs(level) <= 0.02, f"{level:.3f} dB at {frequency:.0f} Hz"


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_nothing_is_added_to_a_tone(source: int, target: int) -> None:
    for frequency in np.linspace(300, 0.425 * min(source, target), 12):
        _, rest = level_and_rest(whole(tone(frequency, source), source, target), frequency, target)
        assert rest <= -64, f"{rest:.1f} dB beside {frequency:.0f} Hz"


@pytest.mark.parametrize(
    ("source", "target"), [(source, target) for source, target in PAIRS if 0.499 * source > 0.575 * target]
)
def test_nothing_is_folded_back_into_the_pass_band(source: int, target: int) -> None:
    for frequency in np.linspace(0.575 * target, 0.499 * source, 25):
        _, rest = level_and_rest(whole(tone(frequency, source), source, target), 0.0, target)
        assert rest <= -64, f"{rest:.1f} dB left of {frequency:.0f} Hz"


@pytest.mark.parametrize(("source", "target"), FROM_TELEPHONE + TO_TELEPHONE)
def test_less_than_2_ms_stay_inside(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    frame = tone(1_000, source, 0.02)
    given = 0
    for count in range(1, 101):
        given += len(resampler.process(to_bytes(frame))) // 2
        assert 0 <= count * len(frame) / source - given / target <= 0.002
    assert resampler.delay / source <= 0.002


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_nothing_is_moved_in_time(source: int, target: int) -> None:
    click = np.zeros(source // 10, np.int16)
    click[source // 20] = 30_000
    assert abs(int(np.argmax(whole(click, source, target))) / target - (source // 20) / source) <= 0.5 / target + 1e-9


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_stream_lasts_as_long_as_what_went_in(source: int, target: int) -> None:
    for size in (0, 1, 7, 160, 1_001, source):
        assert len(whole(np.zeros(size, np.int16), source, target)) == math.ceil(size * target / source)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(PAIRS), st.integers(0, 2**32 - 1), st.lists(st.integers(0, 700), max_size=12))
def test_how_it_is_cut_changes_not_a_bit(pair: tuple[int, int], seed: int, sizes: list[int]) -> None:
    noise = np.random.default_rng(seed).integers(-32_768, 32_768, 3_000).astype(np.int16)
    resampler = Resampler(*pair)
    pieces = [resampler.process(to_bytes(piece)) for piece in cut(noise, sizes)]
    assert np.array_equal(to_samples(b"".join((*pieces, resampler.flush()))), whole(noise, *pair))


def test_sample_by_sample_is_the_same_too() -> None:
    noise = np.random.default_rng(1).integers(-32_768, 32_768, 500).astype(np.int16)
    resampler = Resampler(8_000, 16_000)
    pieces = [resampler.process(to_bytes(noise[place : place + 1])) for place in range(len(noise))]
    assert np.array_equal(to_samples(b"".join((*pieces, resampler.flush()))), whole(noise, 8_000, 16_000))


def test_after_a_flush_it_is_as_new() -> None:
    resampler = Resampler(24_000, 8_000)
    first, second = tone(500, 24_000), tone(800, 24_000)
    resampler.process(to_bytes(first))
    resampler.flush()
    again = to_samples(resampler.process(to_bytes(second)) + resampler.flush())
    assert np.array_equal(again, whole(second, 24_000, 8_000))


def test_a_long_piece_is_the_same_as_frames() -> None:
    noise = np.random.default_rng(2).integers(-32_768, 32_768, 48_000).astype(np.int16)
    resampler = Resampler(16_000, 8_000)
    pieces = [resampler.process(to_bytes(noise[place : place + 320])) for place in range(0, len(noise), 320)]
    assert np.array_equal(to_samples(b"".join((*pieces, resampler.flush()))), whole(noise, 16_000, 8_000))


def test_what_overshoots_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(800) // 8 % 2, 32_767, -32_768).astype(np.int16)
    louder = whole(square, 8_000, 16_000).astype(int)
    assert louder.max() == 32_767
    assert louder.min() == -32_768
    assert (np.sign(louder[20:-20:2]) == np.sign(square[10:-10].astype(int))).all()


def telephone_noise(rate: int) -> NDArray[np.float64]:
    """A second of noise from 300 to 3400 Hz: the same wave at every rate, made from its spectrum, unfiltered."""
    spectrum = np.zeros(rate // 2 + 1, complex)
    spectrum[300:3_400] = np.exp(1j * np.random.default_rng(3).uniform(0, 2 * np.pi, 3_100))
    wave: NDArray[np.float64] = np.fft.irfft(spectrum, rate) * rate
    return wave * 50


@pytest.mark.parametrize(("source", "target"), FROM_TELEPHONE + TO_TELEPHONE)
def test_noise_in_the_telephone_band_comes_out_as_if_sampled_at_the_other_rate(source: int, target: int) -> None:
    out = whole(np.rint(telephone_noise(source)).astype(np.int16), source, target)
    ideal = telephone_noise(target)
    middle = slice(target // 10, -target // 10)
    assert decibel(float(np.std((out - ideal)[middle])) / float(np.std(ideal[middle]))) <= -64


def test_rates_without_a_handy_ratio_are_refused() -> None:
    with pytest.raises(AudioError, match="8000 and 7999 Hz"):
        Resampler(8_000, 7_999)


def test_resamplers_of_the_same_rates_share_their_plan() -> None:
    Resampler(22_050, 8_000)
    tracemalloc.start()
    try:
        held = [Resampler(22_050, 8_000) for _ in range(10)]
        each = tracemalloc.get_traced_memory()[0] / len(held)
    finally:
        tracemalloc.stop()
    assert each < 50_000  # a plan of these rates takes 750 KB
