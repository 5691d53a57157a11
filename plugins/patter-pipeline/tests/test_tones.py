"""The tone of a key, told from speech, noise and other tones."""

from __future__ import annotations

import math
import time

import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.dtmf import TONE_MS, tones
from patter_core.audio.transcode import transcode
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline.tones import is_tone

PCM16_8000 = AudioFormat(Encoding.PCM16, 8_000)
PCM16_22050 = AudioFormat(Encoding.PCM16, 22_050)
PCM16_24000 = AudioFormat(Encoding.PCM16, 24_000)


def frames(audio: bytes, format: AudioFormat, ms: float = 20) -> list[AudioChunk]:
    size = format.size(ms)
    return [AudioChunk(audio[at : at + size], format) for at in range(0, len(audio) - size + 1, size)]


def sines(*parts: tuple[float, float]) -> bytes:
    """200 ms of sines: the frequency and the level of each."""
    samples = (
        sum(int(level * math.sin(2 * math.pi * frequency * at / 8_000)) for frequency, level in parts)
        for at in range(1_600)
    )
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_8000, PCM16_16000, PCM16_22050, PCM16_24000], ids=str)
@pytest.mark.parametrize("key", "0123456789*#ABCD")
def test_each_key_in_each_format(key: str, format: AudioFormat) -> None:
    assert all(map(is_tone, frames(tones(key, format).data[: format.size(TONE_MS)], format)))


@pytest.mark.parametrize("levels", [(4_000, 1_600), (1_600, 2_500)])
@pytest.mark.parametrize("off", [0.985, 1.015])
def test_a_tone_that_is_off_and_uneven_is_one(levels: tuple[int, int], off: float) -> None:
    audio = sines((770 * off, levels[0]), (1_336 * off, levels[1]))
    assert all(map(is_tone, frames(audio, PCM16_8000)))


@pytest.mark.parametrize("line", CALLER_LINES, ids=lambda line: line.text[:20])
def test_speech_is_none(line: object) -> None:
    audio = line.audio(ULAW_8000)  # type: ignore[attr-defined] # a line of a caller
    found = [is_tone(frame) for frame in frames(audio, ULAW_8000)]
    assert sum(found) <= len(found) * 0.02


@pytest.mark.parametrize("parts", [((440.0, 8_000.0),), ((350.0, 6_000.0), (440.0, 6_000.0)), ((1_336.0, 8_000.0),)])
def test_other_tones_are_none(parts: tuple[tuple[float, float], ...]) -> None:
    assert not any(map(is_tone, frames(sines(*parts), PCM16_8000)))


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\xff" * 160, b"\x00\x00" * 160])
@pytest.mark.parametrize("format", [ULAW_8000, PCM16_16000])
def test_nothing_and_silence_are_none(data: bytes, format: AudioFormat) -> None:
    assert not is_tone(AudioChunk(data, format))


def test_a_look_costs_little() -> None:
    chunk = AudioChunk(transcode(sines((770, 8_000), (1_336, 8_000)), PCM16_8000, ULAW_8000)[:160], ULAW_8000)
    began = time.process_time()
    for _ in range(500):
        is_tone(chunk)
    assert (time.process_time() - began) / 500 < 0.001
