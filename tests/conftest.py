"""What all tests of the core share."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The servers and clients here are asyncio's: no other backend would test what is shipped."""
    return "asyncio"
