from __future__ import annotations

import os
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
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a setting or an account in the environment that it did not put there."""
    for variable in list(os.environ):
        if variable.startswith(("PATTER_", "ELEVENLABS_")):
            monkeypatch.delenv(variable)
