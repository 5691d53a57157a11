"""The lines that callers and agents say in tests."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.testing import speech
from patter_core.testing.speech import AGENT_LINES, CALLER_LINES, GREETING, REPLIES, Line, line
from patter_core.testing.wav import read_wav

PCM16_8000 = AudioFormat(Encoding.PCM16, 8_000)
LINES = [GREETING, *CALLER_LINES, *AGENT_LINES]
by_name = pytest.mark.parametrize("spoken", LINES, ids=lambda spoken: spoken.name)


@by_name
def test_a_line_is_found_by_its_name(spoken: Line) -> None:
    assert line(spoken.name) is spoken


def test_an_unknown_line_is_an_error() -> None:
    with pytest.raises(KeyError):
        line("nonsense")


def test_the_agent_greets_and_the_caller_speaks() -> None:
    assert {spoken.speaker for spoken in (GREETING, *AGENT_LINES)} == {"agent"}
    assert [spoken.speaker for spoken in CALLER_LINES] == ["caller"] * 4
    assert len({spoken.text for spoken in LINES}) == len({spoken.name for spoken in LINES}) == len(LINES)


def test_each_line_of_the_caller_has_a_reply() -> None:
    assert list(REPLIES) == list(CALLER_LINES)
    assert set(REPLIES.values()) < set(AGENT_LINES)


@by_name
def test_its_file_is_telephone_audio(spoken: Line) -> None:
    with resources.files(speech).joinpath(f"{spoken.name}.wav").open("rb") as file:
        audio, format = read_wav(file)
    assert format == PCM16_8000
    assert audio == spoken.audio(PCM16_8000)


def test_all_files_together_stay_small() -> None:
    files = [file for file in resources.files(speech).iterdir() if file.name.endswith(".wav")]
    assert len(files) == len(LINES)
    assert sum(len(file.read_bytes()) for file in files) <= 450_000


@by_name
def test_it_is_loud_but_not_too_loud_and_begins_and_ends_with_speech(spoken: Line) -> None:
    samples = np.frombuffer(spoken.audio(PCM16_8000), "<i2").astype(float)
    assert -6 <= 20 * np.log10(np.abs(samples).max() / 32_768) <= -3
    sounding = np.flatnonzero(np.abs(samples) > 327)
    assert sounding[0] <= 0.06 * 8_000
    assert len(samples) - sounding[-1] <= 0.08 * 8_000


@by_name
def test_no_pause_inside_it_is_long_enough_to_end_a_turn(spoken: Line) -> None:
    samples = np.frombuffer(spoken.audio(PCM16_8000), "<i2").astype(float)
    sounding = np.flatnonzero(np.abs(samples) > 327)
    assert np.diff(sounding).max() <= 0.4 * 8_000


@by_name
@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_16000], ids=str)
def test_it_can_be_had_in_any_format(spoken: Line, format: AudioFormat) -> None:
    assert spoken.audio(format) == transcode(spoken.audio(PCM16_8000), PCM16_8000, format)
    assert format.duration_ms(len(spoken.audio(format))) == PCM16_8000.duration_ms(len(spoken.audio(PCM16_8000)))
