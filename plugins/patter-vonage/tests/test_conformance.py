"""The whole contract, as the core's own check tries it."""

from __future__ import annotations

import pytest

from patter_core.testing import check_carrier
from patter_vonage.config import SampleRate
from patter_vonage.testing import VonageEmulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sample_rate", [16_000, 24_000])
async def test_it_keeps_the_contract(sample_rate: SampleRate) -> None:
    await check_carrier(lambda: VonageEmulator(sample_rate=sample_rate))
