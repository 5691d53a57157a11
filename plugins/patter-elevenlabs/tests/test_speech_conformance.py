"""The parts keep the contracts of a pipeline."""

from __future__ import annotations

import pytest

from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_pipeline.testing import check_stt, check_tts

pytestmark = pytest.mark.anyio


async def test_the_voice_keeps_its_contract() -> None:
    await check_tts(ElevenLabsTTSEmulator, patience=3.0)


async def test_speech_recognition_keeps_its_contract() -> None:
    await check_stt(ElevenLabsSTTEmulator, patience=3.0)
