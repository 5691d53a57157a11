from __future__ import annotations

import dataclasses

import pytest

from patter_core.checks import Level
from patter_deepgram import DeepgramSTT, DeepgramTTS
from patter_deepgram.testing import DeepgramSTTEmulator, DeepgramTTSEmulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("model", ["nova-3", "flux-general-en"])
async def test_a_session_that_opens_is_fine_and_is_closed(model: str) -> None:
    async with DeepgramSTTEmulator(model) as emulator:
        (result,) = await emulator.part().check()
        assert result.level is Level.OK
        assert model in result.what
        service = await emulator.connection()
        await service.until(lambda: not service.is_open)
        assert not service.heard  # it costs nothing


async def test_a_refusal_is_a_problem_with_its_remedy() -> None:
    async with DeepgramSTTEmulator() as emulator:
        (result,) = await DeepgramSTT("wrong", base_url=emulator.base_url).check()
        assert result.level is Level.PROBLEM
        assert "DEEPGRAM_API_KEY" in result.remedy
        (result,) = await dataclasses.replace(emulator.part(), model="nova-9").check()
        assert "model is none of nova-3" in f"{result.what}{result.remedy}"


async def test_the_voice_is_checked_too() -> None:
    async with DeepgramTTSEmulator() as emulator:
        (result,) = await emulator.part().check()
        assert (result.level, result.what) == (
            Level.OK,
            "Deepgram accepts the key, and has the voice aura-2-thalia-en.",
        )
        (result,) = await dataclasses.replace(emulator.part(), model="thalia").check()
        assert result.level is Level.PROBLEM
    (result,) = await DeepgramTTS("key", base_url=emulator.base_url).check()
    assert result.level is Level.PROBLEM
