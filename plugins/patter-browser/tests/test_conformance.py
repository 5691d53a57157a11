"""The whole contract, as the core's own check tries it."""

from __future__ import annotations

import pytest

from patter_browser.testing import BrowserEmulator
from patter_browser.wire import SampleRate
from patter_core.testing import check_carrier

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sample_rate", [16_000, 24_000])
async def test_it_keeps_the_contract(sample_rate: SampleRate) -> None:
    await check_carrier(lambda: BrowserEmulator(sample_rate=sample_rate))
