from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_account_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TELNYX_API_KEY", "TELNYX_CONNECTION_ID", "TELNYX_PUBLIC_KEY", "TELNYX_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
