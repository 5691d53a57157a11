from __future__ import annotations

import pytest

from patter_core.testing import check_app
from patter_dashboard import Dashboard


@pytest.mark.anyio
async def test_the_dashboard_keeps_the_contract() -> None:
    await check_app(Dashboard)
