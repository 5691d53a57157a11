"""The default voice activity: speech over the noise of the line, in every format, for next to nothing."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable

import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.errors import AudioError, ConfigurationError
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline.activity import WebRtcActivity
from patter_pipeline.testing import check_vad

FRAME = 160
LINEAR = AudioFormat(Encoding.PCM16, 8_000)
SPEECH = CALLER_LINES[0].audio(ULAW_8000)
SPEECH_8000 = CALLER_LINES[0].audio(LINEAR)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def noise(db: float, seconds: float, *, dull: float = 0.0) -> bytes:
    """Noise of that loudness, in dB of full scale: white, or duller, as of a street."""
    generator, level = random.Random(7), 32_768 * 10 ** (db / 20) * math.sqrt(1 - dull**2)
    samples = itertools.accumulate(
        (generator.gauss(0, level) for _ in range(int(8_000 * seconds))), lambda last, next_: last * dull + next_
    )
    linear = b"".join(int(max(-32_768, min(32_767, x))).to_bytes(2, "little", signed=True) for x in samples)
    return transcode(linear, AudioFormat(Encoding.PCM16, 8_000), ULAW_8000)


def share(hear: Callable[[AudioChunk], float], audio: bytes, frame: int = FRAME) -> float:
    """How much of the audio is taken for speech."""
    frames = [AudioChunk(audio[at : at + frame], ULAW_8000) for at in range(0, len(audio) - frame + 1, frame)]
    return sum(hear(chunk) for chunk in frames) / len(frames)


@pytest.mark.anyio
async def test_it_keeps_the_contract() -> None:
    await check_vad(WebRtcActivity)


@pytest.mark.parametrize("db", [-70, -55, -45, -38])
def test_the_noise_of_a_line_is_no_speech(db: float) -> None:
    hear = WebRtcActivity().start(ULAW_8000)
    share(hear, noise(db, 1))
    assert share(hear, noise(db, 4)) < 0.02


def test_a_line_that_becomes_louder_is_known_after_two_seconds() -> None:
    hear = WebRtcActivity().start(ULAW_8000)
    share(hear, noise(-62, 3, dull=0.9))
    assert share(hear, noise(-36, 1, dull=0.9)) > 0.1
    share(hear, noise(-36, 1.2, dull=0.9))
    assert share(hear, noise(-36, 4, dull=0.9)) < 0.05


def test_a_voice_far_below_the_callers_own_is_not_theirs() -> None:
    behind = bytearray(SPEECH_8000)
    for at in range(0, len(behind), 2):
        sample = int.from_bytes(behind[at : at + 2], "little", signed=True) // 24
        behind[at : at + 2] = sample.to_bytes(2, "little", signed=True)
    quiet = transcode(bytes(behind), LINEAR, ULAW_8000)
    alone = WebRtcActivity().start(ULAW_8000)
    assert share(alone, quiet) > 0.4
    hear = WebRtcActivity().start(ULAW_8000)
    share(hear, SPEECH)
    assert share(hear, quiet) < 0.1


@pytest.mark.parametrize("db", [-65, -50])
def test_speech_over_noise_is(db: float) -> None:
    hear = WebRtcActivity().start(ULAW_8000)
    share(hear, noise(db, 2))
    assert share(hear, SPEECH) > 0.6


def test_speech_is_found_after_a_long_silence_and_after_long_speech() -> None:
    hear = WebRtcActivity().start(ULAW_8000)
    silence = b"\xff" * 8_000 * 60
    assert share(hear, silence) == 0
    assert share(hear, SPEECH * 20) > 0.6
    share(hear, silence[: 8 * 100])  # for which speech is held
    assert share(hear, silence) == 0


@pytest.mark.parametrize("frame", [40, 80, 200, 240, 800])
def test_frames_of_any_length(frame: int) -> None:
    assert share(WebRtcActivity().start(ULAW_8000), SPEECH, frame) > 0.6


@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_16000])
def test_a_frame_costs_little(format: AudioFormat) -> None:
    hear = WebRtcActivity().start(format)
    chunk = AudioChunk(CALLER_LINES[0].audio(format)[: format.size(20) * 41][-format.size(20) :], format)
    began = time.process_time()
    for _ in range(5_000):
        hear(chunk)
    assert (time.process_time() - began) / 5_000 < 0.000_1


def test_what_it_does_not_take() -> None:
    with pytest.raises(AudioError, match="sample rate"):
        WebRtcActivity().start(AudioFormat(Encoding.PCM16, 24_000))
    with pytest.raises(ConfigurationError):
        WebRtcActivity(mode=4)
