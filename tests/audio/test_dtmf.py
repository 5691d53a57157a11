"""Tones: at the right frequencies, for the right time, in any format; a Goertzel filter hears what was pressed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat, Encoding
from patter_core.audio.dtmf import PAUSE_MS, TONE_MS, tones
from patter_core.errors import AudioError
from tests.pcm import expand

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")


def samples(data: bytes, format: AudioFormat) -> NDArray[np.int16]:
    if format.encoding is Encoding.PCM16:
        return np.frombuffer(data, "<i2").astype(np.int16)
    return expand(data, format.encoding)


def level(heard: NDArray[np.int16], frequency: float, rate: int) -> float:
    time = np.arange(len(heard)) / rate
    return float(abs(np.dot(heard, np.exp(-2j * np.pi * frequency * time)))) / len(heard)


@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_16000], ids=str)
def test_every_key_is_heard_as_what_it_is(format: AudioFormat) -> None:
    keys = "".join(KEYS)
    heard = samples(tones(keys, format).data, format)
    width = (TONE_MS + PAUSE_MS) * format.sample_rate // 1000
    assert len(heard) == width * len(keys)
    for number, key in enumerate(keys):
        tone = heard[number * width : number * width + TONE_MS * format.sample_rate // 1000]
        row = max(range(4), key=lambda index: level(tone, ROWS[index], format.sample_rate))
        column = max(range(4), key=lambda index: level(tone, COLUMNS[index], format.sample_rate))
        assert KEYS[row][column] == key
        others = [
            level(tone, one, format.sample_rate) for one in ROWS + COLUMNS if one not in {ROWS[row], COLUMNS[column]}
        ]
        assert max(others) < 0.1 * level(tone, ROWS[row], format.sample_rate)
        pause = heard[(number + 1) * width - PAUSE_MS * format.sample_rate // 1000 : (number + 1) * width]
        assert np.abs(pause).max() <= 8


def test_w_waits_and_letters_may_be_small() -> None:
    assert tones("w", ULAW_8000).duration_ms == 500
    assert tones("a", ULAW_8000).data == tones("A", ULAW_8000).data
    assert tones("", ULAW_8000).size == 0


def test_a_key_that_no_telephone_has_is_refused() -> None:
    with pytest.raises(AudioError, match="key"):
        tones("x", ULAW_8000)
