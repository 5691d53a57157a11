"""The whole contract, as the core's own check tries it."""

from __future__ import annotations

import msgspec
import pytest

from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import ConformanceError
from patter_core.testing import check_engine
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.engine_resumed import check_resumed
from patter_elevenlabs import ElevenLabsConvAI
from patter_elevenlabs.testing import ElevenLabsEmulator

pytestmark = pytest.mark.anyio


class Forgetful(ElevenLabsConvAI):
    """An engine that does not look at whether the call goes on."""

    async def open(self, setup: ConversationSetup) -> EngineSession:
        return await super().open(msgspec.structs.replace(setup, resumed=False, system_prompt=""))


async def test_it_keeps_the_contract() -> None:
    await check_engine(ElevenLabsEmulator)


async def test_the_emulator_can_tell_that_a_call_that_goes_on_is_greeted_again() -> None:
    async with ElevenLabsEmulator() as emulator:
        sound = emulator.engine()
        await check_resumed(Check("engine"), sound, emulator)
        forgetful = Forgetful(sound.api_key, sound.agent_id, base_url=sound.base_url)
        with pytest.raises(ConformanceError, match="The agent greets on a call that goes on"):
            await check_resumed(Check("engine"), forgetful, emulator)
