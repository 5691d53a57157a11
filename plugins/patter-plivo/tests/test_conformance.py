"""The whole contract, as the core's own check tries it."""

from __future__ import annotations

import pytest

from patter_core.testing import check_carrier
from patter_plivo.testing import PlivoEmulator

pytestmark = pytest.mark.anyio


async def test_it_keeps_the_contract() -> None:
    await check_carrier(PlivoEmulator)
