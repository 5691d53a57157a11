"""The whole contract, as the core's own check tries it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from patter_core.testing import check_engine
from patter_core.testing.emulator import EngineEmulator
from patter_openai.testing import OpenAIRealtimeEmulator
from patter_openai.testing.live import OpenAILiveEmulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("emulator", [OpenAIRealtimeEmulator, OpenAILiveEmulator])
async def test_it_keeps_the_contract(emulator: Callable[[], EngineEmulator]) -> None:
    await check_engine(emulator)
