from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from patter_pipeline.work import Work

Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a setting or an account in the environment that it did not put there."""
    for variable in list(os.environ):
        if variable.startswith("PATTER_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def until() -> Until:
    """Waits until a condition holds, by looking again and again."""

    async def wait(condition: Callable[[], bool]) -> None:
        with anyio.fail_after(10):
            while not condition():  # noqa: ASYNC110 - nothing tells of it
                await anyio.sleep(0.002)

    return wait


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    """Runs tasks to the end of a test, in which none may raise."""
    faults: list[Exception] = []
    tasks = Work(faults.append)
    yield tasks
    await tasks.end()
    assert not faults
