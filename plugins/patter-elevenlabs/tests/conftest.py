from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a thread waits for; set in the end, so that a test that fails does not leave one for ever."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a key, an agent or an address in the environment that it did not put there."""
    for variable in ("ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID", "ELEVENLABS_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
