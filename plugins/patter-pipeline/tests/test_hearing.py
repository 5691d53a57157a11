"""Edges of the caller's speech, and places in their audio."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.audio.dtmf import TONE_MS, tones
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline import WebRtcActivity
from patter_pipeline.audio_clock import AudioClock
from patter_pipeline.hearing import Ear
from patter_pipeline.parts import VoiceActivity
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
