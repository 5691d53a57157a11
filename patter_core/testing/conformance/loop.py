"""A watch on the event loop: what blocks it stops every call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from patter_core.testing.conformance.check import Check

__all__ = ["watching_the_loop"]

_LONGEST_BLOCK = 0.25
"""Seconds for which a plugin may hold the event loop: far more than a call bears, but machines are busy."""
_STEP = 0.005


@contextlib.asynccontextmanager
async def watching_the_loop(check: Check, what: str) -> AsyncIterator[None]:
    """Checks that the event loop is not blocked inside. `what` names the methods that run there.

    Raises:
        ConformanceError: it is.
    """
    stalls = [0.0]
    task = asyncio.get_running_loop().create_task(_measure(stalls))
    try:
        await asyncio.sleep(0)  # the task starts before what it measures
        yield
        await asyncio.sleep(2 * _STEP)  # and ends after it
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    check.require(
        max(stalls) <= _LONGEST_BLOCK,
        f"{what} stops the event loop, and with it every call.",
        expected=f"at most {_LONGEST_BLOCK:g} s",
        got=f"{max(stalls):.2f} s",
        mistake="blocking input or output in an async function",
        remedy="Await an asynchronous client, or use a `patter_core.threads.SerialThread`.",
    )


async def _measure(stalls: list[float]) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        await asyncio.sleep(_STEP)
        stalls.append(clock() - began - _STEP)
