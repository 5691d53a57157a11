"""Every format to every other: level, length, and chunks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.converter import make_converter
from patter_core.audio.transcode import Transcoder, transcode
from patter_core.errors import AudioError
from tests.pcm import compress, expand

FORMATS = [
    *(AudioFormat(Encoding.PCM16, rate) for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)),
    ULAW_8000,
    ALAW_8000,
]
PAIRS = list(itertools.permutations(FORMATS, 2))
PCM16_8000 = FORMATS[0]


def tone(format: AudioFormat, frequency: float = 1_000, seconds: float = 1.0) -> bytes:
    time = np.arange(round(seconds * format.sample_rate)) / format.sample_rate
    samples = np.rint(10_000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)
    return samples.astype("<i2").tobytes() if format.encoding is Encoding.PCM16 else compress(samples, format.encoding)


def level_db(audio: bytes, format: AudioFormat, frequency: float) -> float:
    """How loud a tone is in it, against the one of `tone`."""
    pcm = np.frombuffer(audio, "<i2") if format.encoding is Encoding.PCM16 else expand(audio, format.encoding)
    time = np.arange(len(pcm)) / format.sample_rate
    return 20 * math.log10(2 * abs(np.mean(pcm * np.exp(-2j * np.pi * frequency * time))) / 10_000)


def convert(between: Transcoder, audio: bytes, sizes: list[int]) -> bytes:
    """Chunk by chunk; sizes in samples."""
    width, start, out = between.source.sample_width, 0, b""
    for size in [*sizes, len(audio)]:
        piece = between.convert(AudioChunk(audio[start : start + size * width], between.source))
        out += piece.data if piece else b""
        start += size * width
    rest = between.flush()
    return out + (rest.data if rest else b"")


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=str)
def test_a_tone_keeps_its_level_and_its_length(source: AudioFormat, target: AudioFormat) -> None:
    out = transcode(tone(source), source, target)
    assert target.duration_ms(len(out)) == pytest.approx(1000, abs=1000 / target.sample_rate)
    assert abs(level_db(out, target, 1_000)) <= 0.1


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=str)
def test_what_comes_out_says_what_it_is(source: AudioFormat, target: AudioFormat) -> None:
    between = make_converter(source, target)
    assert between is not None
    out = between.convert(AudioChunk(tone(source, seconds=0.02), source))
    assert out is not None
    assert out.format == target
    assert 15 <= out.duration_ms <= 20


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_equal_formats_need_no_transcoder(format: AudioFormat) -> None:
    assert make_converter(format, AudioFormat(format.encoding, format.sample_rate)) is None
    audio = tone(format)
    assert transcode(audio, format, format) is audio


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(PAIRS), st.binary(min_size=100, max_size=2_000), st.lists(st.integers(0, 300), max_size=10))
def test_chunks_give_what_the_whole_gives(
    pair: tuple[AudioFormat, AudioFormat], audio: bytes, sizes: list[int]
) -> None:
    source, target = pair
    audio = audio[: len(audio) // source.sample_width * source.sample_width]
    assert convert(Transcoder(source, target), audio, sizes) == transcode(audio, source, target)


def test_a_tone_above_the_telephone_band_does_not_fold_back() -> None:
    out = transcode(tone(PCM16_16000, 5_500), PCM16_16000, ULAW_8000)
    assert max(level_db(out, ULAW_8000, frequency) for frequency in range(100, 4_000, 100)) <= -60


def test_nothing_in_gives_nothing_out() -> None:
    for source, target in PAIRS:
        between = Transcoder(source, target)
        assert between.convert(AudioChunk(b"", source)) is None
        assert between.flush() is None


def test_audio_shorter_than_the_filter_comes_with_the_flush() -> None:
    between = Transcoder(ULAW_8000, PCM16_16000)
    assert between.convert(AudioChunk(bytes(10), ULAW_8000)) is None
    rest = between.flush()
    assert rest is not None
    assert rest.duration_ms == 1.25


def test_without_a_filter_nothing_is_held_back() -> None:
    between = Transcoder(ULAW_8000, PCM16_8000)
    out = between.convert(AudioChunk(b"\x80", ULAW_8000))
    assert out is not None
    assert out.data == (32_124).to_bytes(2, "little")
    assert between.flush() is None


def test_silence_stays_silence() -> None:
    for source, target in PAIRS:
        out = transcode(source.silence * 400, source, target)
        pcm = transcode(out, target, AudioFormat(Encoding.PCM16, target.sample_rate))
        assert np.abs(np.frombuffer(pcm, "<i2")).max() <= 9  # A-law has no zero: its quietest sample is 8


def test_after_a_flush_another_stream_begins() -> None:
    between = Transcoder(PCM16_16000, ULAW_8000)
    first = convert(between, tone(PCM16_16000), [320] * 10)
    assert convert(between, tone(PCM16_16000), [100] * 10) == first


def test_audio_of_another_format_is_refused() -> None:
    with pytest.raises(AudioError, match=r"Expected ulaw_8000. Got alaw_8000."):
        Transcoder(ULAW_8000, PCM16_16000).convert(AudioChunk(b"\xd5", ALAW_8000))


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(AudioError, match="middle of a sample"):
        transcode(b"\0", PCM16_16000, ULAW_8000)
