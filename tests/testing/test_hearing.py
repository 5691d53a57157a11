"""An emulated agent's ears: turns, and known lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, SpeechStarted, recognise
from patter_core.testing.speech import CALLER_LINES, GREETING, Line

PCM16_8000 = AudioFormat(Encoding.PCM16, 8_000)
FORMATS = [ULAW_8000, ALAW_8000, PCM16_16000, AudioFormat(Encoding.PCM16, 24_000)]
LINES = [GREETING, *CALLER_LINES]
BOOKING = CALLER_LINES[0]


def silence(ms: float, format: AudioFormat = ULAW_8000) -> bytes:
    return format.silence * (format.size(ms) // format.sample_width)


def noise(ms: float, level_db: float) -> bytes:
    """μ-law noise of that RMS, in dB of full scale."""
    wave = np.random.default_rng(7).normal(0, 32_768 * 10 ** (level_db / 20), round(ms * 8))
    return from_linear(wave)


def from_linear(samples: NDArray[np.float64]) -> bytes:
    return transcode(samples.clip(-32_768, 32_767).astype("<i2").tobytes(), PCM16_8000, ULAW_8000)


def linear(line: Line) -> NDArray[np.float64]:
    return np.frombuffer(line.audio(PCM16_8000), "<i2").astype(float)


def turns(events: list[SpeechStarted | SpeechEnded]) -> list[bytes]:
    """The audio of the turns; each must have been announced first."""
    assert all(isinstance(event, SpeechStarted) for event in events[::2])
    return [event.audio for event in events[1::2] if isinstance(event, SpeechEnded)]


# --- turns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_is_one_turn(line: Line, format: AudioFormat) -> None:
    audio = silence(700, format) + line.audio(format) + silence(700, format)
    (turn,) = turns(EndOfTurn(format).feed(audio))
    longer = format.duration_ms(len(turn)) - format.duration_ms(len(line.audio(format)))
    assert -80 <= longer <= 160
    assert recognise(turn, format, LINES) == line.text


def test_turns_follow_each_other() -> None:
    ears, audio = EndOfTurn(ULAW_8000), silence(300)
    for line in CALLER_LINES:
        audio += line.audio(ULAW_8000) + silence(800)
    heard = turns(ears.feed(audio))
    assert [recognise(turn, ULAW_8000, LINES) for turn in heard] == [line.text for line in CALLER_LINES]


def test_the_start_is_told_while_the_caller_speaks_and_the_end_after_the_silence() -> None:
    ears, audio = EndOfTurn(ULAW_8000, silence_ms=300), silence(200) + noise(400, -20) + silence(1_000)
    told: dict[str, int] = {}
    for start in range(0, len(audio), 160):
        for event in ears.feed(audio[start : start + 160]):
            told[type(event).__name__] = start // 8 + 20
    assert told == {"SpeechStarted": 240, "SpeechEnded": 900}


def test_a_turn_has_100_ms_of_silence_at_either_end() -> None:
    speech = noise(400, -20)
    (turn,) = turns(EndOfTurn(ULAW_8000).feed(silence(1_000) + speech + silence(1_000)))
    assert turn == silence(100) + speech + silence(100)


def test_speech_from_the_very_first_sample_is_all_there() -> None:
    speech = noise(400, -20)
    (turn,) = turns(EndOfTurn(ULAW_8000).feed(speech + silence(1_000)))
    assert turn == speech + silence(100)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 2_000), max_size=30))
def test_it_does_not_matter_how_the_audio_is_cut(sizes: list[int]) -> None:
    audio = silence(200) + BOOKING.audio(ULAW_8000) + silence(600)
    ears, events, start = EndOfTurn(ULAW_8000), [], 0
    for size in [*sizes, len(audio)]:
        events += ears.feed(audio[start : start + size])
        start += size
    assert events == EndOfTurn(ULAW_8000).feed(audio)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_silence_is_no_turn(format: AudioFormat) -> None:
    assert EndOfTurn(format).feed(silence(5_000, format)) == []


def test_a_noisy_line_is_no_turn_and_a_click_is_none_either() -> None:
    assert EndOfTurn(ULAW_8000).feed(noise(3_000, -55)) == []
    assert EndOfTurn(ULAW_8000).feed(silence(200) + noise(20, -10) + silence(1_000)) == []


def test_the_threshold_can_be_chosen() -> None:
    audio = noise(1_000, -55) + silence(1_000)
    assert len(turns(EndOfTurn(ULAW_8000, threshold_db=-60).feed(audio))) == 1


def test_a_turn_without_an_end_is_ended() -> None:
    heard = turns(EndOfTurn(ULAW_8000, longest_ms=1_000).feed(noise(2_500, -20)))
    assert [len(turn) for turn in heard] == [8_000, 8_000]


# --- lines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_is_known_in_any_format(line: Line, format: AudioFormat) -> None:
    assert recognise(line.audio(format), format, LINES) == line.text


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_is_known_after_a_rough_journey(line: Line) -> None:
    clean = linear(line)
    noisy = clean + np.random.default_rng(5).normal(0, clean.std() / 10, len(clean))
    with_losses = clean.copy()
    for start in range(0, len(clean), 1_920):
        with_losses[start : start + 160] = 0
    for version in (clean / 4, noisy, with_losses):
        assert recognise(from_linear(version), ULAW_8000, LINES) == line.text
    late = silence(133) + line.audio(ULAW_8000) + silence(180)
    assert recognise(late, ULAW_8000, LINES) == line.text
    there_and_back = transcode(transcode(late, ULAW_8000, PCM16_16000), PCM16_16000, ULAW_8000)
    assert recognise(there_and_back, ULAW_8000, LINES) == line.text


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_that_was_cut_short_is_none(line: Line) -> None:
    audio = line.audio(ULAW_8000)
    assert recognise(audio[: len(audio) * 2 // 3], ULAW_8000, LINES) is None


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line_that_is_not_among_the_candidates_is_none(line: Line) -> None:
    assert recognise(line.audio(ULAW_8000), ULAW_8000, [other for other in LINES if other is not line]) is None


def test_what_is_no_line_is_none() -> None:
    tone = 8_000 * np.sin(np.arange(16_000) * 0.35)
    two_lines = CALLER_LINES[0].audio(ULAW_8000) + CALLER_LINES[1].audio(ULAW_8000)
    for audio in (b"", b"\xff", silence(2_000), noise(2_000, -20), from_linear(tone), two_lines):
        assert recognise(audio, ULAW_8000, LINES) is None


def test_without_candidates_nothing_is_known() -> None:
    assert recognise(BOOKING.audio(ULAW_8000), ULAW_8000, []) is None
