"""Edges of the caller's speech, and places in their audio."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from patter_core.audio import ALAW_8000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.dtmf import TONE_MS, tones
from patter_core.errors import AudioError
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline import WebRtcActivity
from patter_pipeline.audio_clock import AudioClock
from patter_pipeline.hearing import Ear
from patter_pipeline.parts import VoiceActivity
from patter_pipeline.silero import SileroActivity, is_installed
from patter_pipeline.turns import inputs

FRAME = 160


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def hear(ear: Ear, audio: bytes, clock: Clock) -> None:
    for at in range(0, len(audio) - FRAME + 1, FRAME):
        clock.now += 0.02
        ear.hear(AudioChunk(audio[at : at + FRAME], ULAW_8000))


def test_edges_of_speech_and_places_in_the_audio() -> None:
    told: list[inputs.Input] = []
    clock = Clock()
    ear = Ear(WebRtcActivity(), ULAW_8000, take=told.append, times=AudioClock(ULAW_8000, clock))
    hear(ear, b"\xff" * 8_000, clock)
    hear(ear, CALLER_LINES[0].audio(ULAW_8000), clock)
    hear(ear, b"\xff" * 8_000, clock)
    first, last = told[0], told[-1]
    assert isinstance(first, inputs.SpeechBegan)
    assert first.at == pytest.approx(101.04, abs=0.1)
    assert isinstance(last, inputs.SpeechEnded)
    assert last.at == pytest.approx(clock.now - 1.04, abs=0.15)
    assert ear.audio_ms(first.at) == pytest.approx((first.at - 100.0) * 1000, abs=1)
    assert ear.audio_ms(0.0) == 0.0


LINEAR = [AudioFormat(Encoding.PCM16, rate) for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)]
PARTS = [WebRtcActivity, *([SileroActivity] if is_installed() else [])]


@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, *LINEAR], ids=str)
@pytest.mark.parametrize("part", PARTS)
def test_each_part_hears_each_format(
    part: type[VoiceActivity], format: AudioFormat, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[inputs.Input] = []
    clock = Clock()
    ear = Ear(part(), format, take=told.append, times=AudioClock(format, clock))
    silence = format.silence * (format.sample_rate // 2)
    audio, size = silence + CALLER_LINES[0].audio(format) + silence, format.size(20)
    for at in range(0, len(audio) - size + 1, size):
        clock.now += 0.02
        ear.hear(AudioChunk(audio[at : at + size], format))
    assert [type(event) for event in (told[0], told[-1])] == [inputs.SpeechBegan, inputs.SpeechEnded]
    assert told[0].at == pytest.approx(100.54, abs=0.15)  # type: ignore[union-attr] # of an edge
    assert told[-1].at == pytest.approx(clock.now - 0.54, abs=0.3)  # type: ignore[union-attr] # as above
    assert not caplog.records


class Narrow(VoiceActivity):
    """Takes two rates, and remembers what it was given."""

    name = "narrow"
    sample_rates = (16_000, 8_000)

    def __init__(self) -> None:
        self.given: list[AudioChunk] = []

    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        def hear(chunk: AudioChunk) -> float:
            assert chunk.format == format
            self.given.append(chunk)
            return 0.0

        return hear


@pytest.mark.parametrize("format", [ULAW_8000, *LINEAR], ids=str)
def test_audio_is_converted_only_where_the_rate_is_not_taken(format: AudioFormat) -> None:
    part = Narrow()
    ear = Ear(part, format, take=print, times=AudioClock(format, Clock()))
    chunk = AudioChunk(format.silence * (format.sample_rate // 50), format)
    ear.hear(chunk)
    if format.sample_rate in part.sample_rates:
        assert part.given[0] is chunk
    else:
        assert part.given[0].format == AudioFormat(Encoding.PCM16, 16_000)


def test_a_piece_that_the_filter_holds_back_changes_nothing() -> None:
    part, format = Narrow(), AudioFormat(Encoding.PCM16, 24_000)
    ear = Ear(part, format, take=print, times=AudioClock(format, Clock()))
    ear.hear(AudioChunk(b"\0\0", format))
    assert not part.given


class Voice(VoiceActivity):
    """Takes everything that is no silence for a voice."""

    name = "voice"

    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        return lambda chunk: float(chunk.data != b"\xff" * chunk.size)


@pytest.mark.parametrize("key", "0123456789*#ABCD")
def test_the_tone_of_a_key_is_no_speech(key: str) -> None:
    told: list[inputs.Input] = []
    clock = Clock()
    ear = Ear(Voice(), ULAW_8000, take=told.append, times=AudioClock(ULAW_8000, clock))
    tone = tones(key, ULAW_8000).data[: 8 * TONE_MS]
    hear(ear, tone * 10, clock)
    hear(ear, b"\xff" * 1_600 + CALLER_LINES[0].audio(ULAW_8000)[:8_000], clock)
    assert [type(event) for event in told[:1]] == [inputs.SpeechBegan]
    assert told[0].at >= 100.0 + 10 * TONE_MS / 1000  # type: ignore[union-attr] # of an edge


@pytest.mark.parametrize("place", ["start", "frame", "kind"])
def test_activity_that_fails_is_not_asked_again(place: str) -> None:
    class Broken(VoiceActivity):
        name = "broken"
        asked = 0

        def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
            if place == "start":
                raise SystemExit
            return self._hear

        def _hear(self, chunk: AudioChunk) -> float:
            Broken.asked += 1
            if place == "frame":
                raise SystemExit
            return None  # type: ignore[return-value] # the mischief

    told: list[inputs.Input] = []
    clock = Clock()
    hear(Ear(Broken(), ULAW_8000, take=told.append, times=AudioClock(ULAW_8000, clock)), b"\x00" * 1_600, clock)
    assert not told
    assert Broken.asked <= 1


class Refusing(VoiceActivity):
    """Fails at once."""

    name = "refusing"

    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        raise AudioError("No such rate.", expected="8000", got=f"{format}")


class Odd(Refusing):
    """Takes a rate to which there is no conversion."""

    sample_rates = (7_999,)


@pytest.mark.parametrize("part", [Refusing, Odd])
def test_loudness_takes_the_place_of_activity_that_fails_and_one_line_tells_why(
    part: type[VoiceActivity], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[inputs.Input] = []
    clock = Clock()
    ear = Ear(part(), ULAW_8000, take=told.append, times=AudioClock(ULAW_8000, clock))
    hear(ear, b"\xff" * 8_000, clock)
    hear(ear, CALLER_LINES[0].audio(ULAW_8000), clock)
    hear(ear, b"\xff" * 8_000, clock)
    assert [type(event) for event in (told[0], told[-1])] == [inputs.SpeechBegan, inputs.SpeechEnded]
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert "\n" not in record.getMessage()
    assert "Got" in record.getMessage()
