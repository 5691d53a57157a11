"""Speech in a stream that never stops: where it begins and ends does not depend on how the stream is cut."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_core.audio import ALAW_8000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.g711 import encode
from patter_core.audio.gate import SpeechChange, SpeechGate
from patter_core.errors import AudioError
from tests.pcm import expand

RATES = (8_000, 11_025, 22_050, 24_000, 48_000)
FORMATS = [ULAW_8000, ALAW_8000, *(AudioFormat(Encoding.PCM16, rate) for rate in RATES)]
formats = pytest.mark.parametrize("format", FORMATS, ids=str)

Samples = Sequence[int]


def written(samples: Samples, format: AudioFormat) -> bytes:
    pcm = np.clip(np.array(samples, np.int64), -32_768, 32_767).astype("<i2").tobytes()
    return pcm if format.encoding is Encoding.PCM16 else encode(pcm, format.encoding)


def steady(ms: float, format: AudioFormat, level: int = 0) -> list[int]:
    return [level] * round(ms * format.sample_rate / 1000)


def tone(ms: float, format: AudioFormat, db: float = -20, hz: float = 300, offset: int = 0) -> list[int]:
    """A sine whose level, the square root of its mean square, is so many dB below full scale."""
    peak = 32_768 * 10 ** (db / 20) * math.sqrt(2)
    count = round(ms * format.sample_rate / 1000)
    return [offset + round(peak * math.sin(2 * math.pi * hz * index / format.sample_rate)) for index in range(count)]


def chunks(data: bytes, format: AudioFormat, sizes: Iterable[int]) -> Iterator[AudioChunk]:
    """The data in chunks of so many samples; what is left over comes last."""
    at = 0
    for size in sizes:
        yield AudioChunk(data[at : at + size * format.sample_width], format)
        at += size * format.sample_width
    yield AudioChunk(data[at:], format)


def changes(
    samples: Samples, format: AudioFormat, sizes: Iterable[int] = (), gate: SpeechGate | None = None
) -> list[SpeechChange]:
    gate = gate or SpeechGate(format)
    return [change for chunk in chunks(written(samples, format), format, sizes) for change in gate.push(chunk)]


def by_definition(data: bytes, format: AudioFormat, begin: int, end: int) -> list[SpeechChange]:
    """What the gate should tell of all the audio: `begin` loud windows in a row, then `end` silent ones, and so on."""
    law = format.encoding
    samples = np.frombuffer(data, "<i2") if law is Encoding.PCM16 else expand(data, law)
    size = round(format.sample_rate / 100)
    level = 32_768 * 10 ** (-45 / 20)
    loud = [bool(samples[at : at + size].std() > level) for at in range(0, len(samples) - size + 1, size)]
    told, at, speaking = list[SpeechChange](), 0, False
    while True:
        needed = end if speaking else begin
        while at + needed <= len(loud) and speaking in loud[at : at + needed]:
            at += 1
        if at + needed > len(loud):
            return told
        speaking = not speaking
        told.append(SpeechChange(speaking, at * size * 1000 / format.sample_rate))
        at += needed


@formats
def test_speech_begins_after_60_ms_and_ends_after_800_ms(format: AudioFormat) -> None:
    speech = steady(200, format) + tone(500, format) + steady(1_000, format)
    began, ended = changes(speech, format)
    assert (began.speaking, ended.speaking) == (True, False)
    assert began.at_ms == pytest.approx(200, abs=11)
    assert ended.at_ms == pytest.approx(700, abs=11)


@formats
def test_it_is_told_with_the_audio_by_which_it_is_known(format: AudioFormat) -> None:
    gate = SpeechGate(format)
    data = written(steady(100, format) + tone(300, format) + steady(1_200, format), format)
    millisecond = max(1, format.sample_rate // 1000)
    told, position = [], 0.0
    for chunk in chunks(data, format, [millisecond] * (len(data) // format.sample_width // millisecond)):
        position += chunk.duration_ms
        told += [(position, change.speaking) for change in gate.push(chunk)]
        assert gate.speaking is (len(told) == 1)
    assert [speaking for _, speaking in told] == [True, False]
    assert told[0][0] == pytest.approx(160, abs=12)
    assert told[1][0] == pytest.approx(1_200, abs=12)


@formats
def test_a_pause_shorter_than_800_ms_ends_nothing(format: AudioFormat) -> None:
    speech = tone(300, format) + steady(780, format) + tone(100, format) + steady(780, format) + tone(10, format)
    assert [change.speaking for change in changes(speech, format)] == [True]


@formats
def test_one_long_chunk_may_hold_several_changes(format: AudioFormat) -> None:
    gate = SpeechGate(format, begin_ms=40, end_ms=100)
    word = tone(100, format) + steady(150, format)
    told = changes(word + word, format, gate=gate)
    assert [change.speaking for change in told] == [True, False, True, False]
    assert [change.at_ms for change in told] == pytest.approx([0, 100, 250, 350], abs=12)


@formats
@pytest.mark.parametrize(("db", "begins"), [(-44, True), (-46, False), (-3.1, True)])
def test_the_threshold_is_45_db_below_full_scale(format: AudioFormat, db: float, begins: bool) -> None:
    assert bool(changes(tone(200, format, db), format)) is begins


@formats
def test_the_threshold_can_be_set(format: AudioFormat) -> None:
    assert changes(tone(200, format, -35), format, gate=SpeechGate(format, threshold_db=-30)) == []
    assert changes(tone(200, format, -25), format, gate=SpeechGate(format, threshold_db=-30)) != []


@pytest.mark.parametrize(
    "limits",
    [{"threshold_db": 1.0}, {"threshold_db": math.nan}, {"begin_ms": 9.0}, {"end_ms": 0.0}, {"end_ms": math.inf}],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(AudioError, match="out of range"):
        SpeechGate(ULAW_8000, **limits)


def test_audio_in_another_format_is_refused() -> None:
    with pytest.raises(AudioError, match="another format"):
        SpeechGate(ULAW_8000).push(AudioChunk(bytes(160), ALAW_8000))


def test_base64_is_left_as_it_came() -> None:
    chunk = AudioChunk.from_base64("/v//" * 40, ULAW_8000)
    assert SpeechGate(ULAW_8000).push(chunk) == ()
    assert chunk.base64 == "/v//" * 40


@formats
def test_silence_may_be_left_out_and_the_first_sound_of_a_word_may_not(format: AudioFormat) -> None:
    gate = SpeechGate(format)
    data = written(steady(300, format) + tone(200, format) + steady(1_100, format), format)
    frame = format.size(20) // format.sample_width
    kept = []
    for index, chunk in enumerate(chunks(data, format, [frame] * 80)):
        gate.push(chunk)
        if not gate.silent:
            kept.append(index * 20)
    assert kept[0] in {280, 300}
    assert kept == list(range(kept[0], kept[-1] + 20, 20))
    assert kept[-1] == pytest.approx(1_300, abs=21)


@formats
def test_a_short_chunk_within_the_first_sound_is_not_silent(format: AudioFormat) -> None:
    gate = SpeechGate(format)
    few = format.sample_rate // 500  # 2 ms
    told = [(gate.push(chunk), gate.silent) for chunk in chunks(written(tone(59, format), format), format, [few] * 29)]
    assert [change for change, _ in told if change] == []
    first = [silent for _, silent in told].index(False)
    assert first <= 5
    assert not any(silent for _, silent in told[first:])


@pytest.mark.parametrize("law", [Encoding.ULAW, Encoding.ALAW])
def test_g711_is_measured_as_the_samples_it_stands_for(law: Encoding) -> None:
    format, linear = AudioFormat(law, 8_000), AudioFormat(Encoding.PCM16, 8_000)
    codes = bytes(random.Random(1).choices(range(256), k=8_000))
    for code in range(256):  # each code once, loud enough or not against 0
        window = bytes([code, format.silence[0]]) * 240
        same = expand(window, law).astype("<i2").tobytes()
        assert SpeechGate(format).push(AudioChunk(window, format)) == SpeechGate(linear).push(AudioChunk(same, linear))
    same = expand(codes, law).astype("<i2").tobytes()
    assert SpeechGate(format).push(AudioChunk(codes, format)) == SpeechGate(linear).push(AudioChunk(same, linear))


# --- for every stream ------------------------------------------------------------------------------------------------

any_format = st.sampled_from(FORMATS)
level = st.integers(-30_000, 30_000)


@given(
    any_format,
    st.lists(st.tuples(st.integers(1, 300), st.sampled_from([-60, -46, -40, -12]), st.integers(-3_000, 3_000))),
    st.lists(st.one_of(st.integers(0, 20), st.integers(0, 25_000)), max_size=30),
)
@settings(deadline=None)
def test_however_a_stream_is_cut_the_same_changes_are_told_at_the_same_positions(
    format: AudioFormat, parts: list[tuple[int, int, int]], sizes: list[int]
) -> None:
    """Parts are sounds of some ms at some dB with an offset, sizes are those of the chunks in samples."""
    data = written([one for ms, db, offset in parts for one in tone(ms, format, db, offset=offset)], format)
    gate = SpeechGate(format, begin_ms=50, end_ms=120)
    told = [change for chunk in chunks(data, format, sizes) for change in gate.push(chunk)]
    assert told == by_definition(data, format, 5, 12)
    assert gate.speaking is (len(told) % 2 == 1)


@given(any_format, st.lists(st.tuples(st.integers(1, 300), st.integers(-150, 150)), max_size=3))
@settings(deadline=None)
def test_silence_never_begins(format: AudioFormat, parts: list[tuple[int, int]]) -> None:
    """Noise below the threshold around any offset."""
    noise = random.Random(len(parts))
    samples = [offset + noise.randint(-250, 250) for ms, offset in parts for _ in steady(ms, format)]
    gate = SpeechGate(format)
    assert changes(samples, format, gate=gate) == []
    assert not gate.speaking


@given(any_format, st.tuples(level, level), st.integers(0, 200), st.integers(0, 10))
@settings(deadline=None)
def test_an_offset_and_a_click_of_10_ms_do_not_begin(
    format: AudioFormat, offsets: tuple[int, int], at_ms: int, click_ms: int
) -> None:
    noise = random.Random(at_ms)
    click = [noise.choice([-32_768, 32_767]) for _ in steady(click_ms, format)]
    samples = steady(at_ms, format, offsets[0]) + click + steady(300, format, offsets[1])
    assert changes(samples, format) == []


@given(any_format, st.integers(0, 30), st.integers(1, 40), st.integers(70, 200))
@settings(deadline=None)
def test_40_ms_of_sound_never_begin_and_70_ms_always_do(format: AudioFormat, at_ms: int, short: int, long: int) -> None:
    assert changes(steady(at_ms, format) + tone(short, format) + steady(100, format), format) == []
    assert [change.speaking for change in changes(steady(at_ms, format) + tone(long, format), format)] == [True]


@given(any_format, st.binary(max_size=400), st.lists(st.integers(0, 50)))
@settings(deadline=None)
def test_any_bytes_are_taken(format: AudioFormat, data: bytes, sizes: list[int]) -> None:
    whole = data[: len(data) // 2 * 2] * 40
    gate = SpeechGate(format, begin_ms=20, end_ms=20)
    told = [change for chunk in chunks(whole, format, sizes) for change in gate.push(chunk)]
    assert [change.speaking for change in told] == [index % 2 == 0 for index in range(len(told))]
    positions = [change.at_ms for change in told]
    assert positions == sorted(positions)
