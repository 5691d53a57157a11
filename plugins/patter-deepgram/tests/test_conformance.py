from __future__ import annotations

import functools

import pytest

from patter_deepgram.testing import DeepgramSTTEmulator, DeepgramTTSEmulator
from patter_pipeline.testing import check_stt, check_tts

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("model", ["nova-3", "flux-general-en"])
async def test_the_recognition_keeps_its_contract(model: str) -> None:
    await check_stt(functools.partial(DeepgramSTTEmulator, model))


async def test_the_voice_keeps_its_contract() -> None:
    await check_tts(DeepgramTTSEmulator)
