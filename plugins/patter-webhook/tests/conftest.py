from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PATTER_WEBHOOK_SINK_URL", "PATTER_WEBHOOK_SINK_SECRET"):
        monkeypatch.delenv(variable, raising=False)
