"""The caller's audio reaches each speech recognition, in each format that a carrier of ours may bring."""

from __future__ import annotations

from typing import get_args

import pytest

from patter_browser.wire import SampleRate as BrowserRate
from patter_core.audio import ALAW_8000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.audio.converter import make_converter
from patter_core.testing.speech import CALLER_LINES
from patter_deepgram import DeepgramSTT
from patter_deepgram.testing import DeepgramSTTEmulator
from patter_elevenlabs import ElevenLabsSTT
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_pipeline.parts import SpeechToText
from patter_vonage.config import SAMPLE_RATES

pytestmark = pytest.mark.anyio

RATES = sorted({8_000, 16_000, 22_050, 44_100, 48_000, *get_args(BrowserRate), *SAMPLE_RATES})
FORMATS = [ULAW_8000, ALAW_8000, *(AudioFormat(Encoding.PCM16, rate) for rate in RATES)]


async def hear(part: SpeechToText, format: AudioFormat) -> float:
    """Returns how much audio it was sent, in ms."""
    session = await part.open(preferred_format=format, language="")
    chunk = AudioChunk(CALLER_LINES[0].audio(format)[: format.size(400)], format)
    converter = make_converter(format, session.input_format)
    converted = chunk if converter is None else converter.convert(chunk)
    assert converted is not None
    session.send_audio(converted)
    await session.aclose()
    return converted.duration_ms


@pytest.mark.parametrize("format", FORMATS, ids=str)
async def test_each_recognition_takes_each_format(format: AudioFormat) -> None:
    async with DeepgramSTTEmulator() as deepgram, ElevenLabsSTTEmulator() as elevenlabs:
        parts = (
            DeepgramSTT(deepgram.api_key, base_url=deepgram.base_url),
            ElevenLabsSTT(elevenlabs.api_key, base_url=elevenlabs.base_url),
        )
        for part in parts:
            assert await hear(part, format) == pytest.approx(400, abs=10)
    async with DeepgramSTTEmulator("flux-general-en") as flux:
        assert await hear(DeepgramSTT(flux.api_key, "flux-general-en", base_url=flux.base_url), format) > 390
