"""A watch on the event loop: what blocks it stops every call.

A thread counts how often it woke since the loop last ran. On a busy machine the whole process may stand still for a
while; then the thread does not wake either, and nothing is blamed on the plugin.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

from patter_core.testing.conformance.check import Check

__all__ = ["watching_the_loop"]

_LONGEST_BLOCK = 0.25
"""Seconds for which a plugin may hold the event loop: far more than a call bears, but machines are busy."""
_STEP = 0.005
"""Seconds between two signs of life of the loop, and between two looks of the thread."""


class _Watch(threading.Thread):
    """Looks whether the loop runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0
        """The most looks in a row without a sign of life between them."""
        self._looks = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_STEP):
            self._looks += 1
            self.longest = max(self.longest, self._looks)

    def alive(self) -> None:
        """The loop runs."""
        self._looks = 0

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped.set()


@contextlib.asynccontextmanager
async def watching_the_loop(check: Check, what: str) -> AsyncIterator[None]:
    """Checks that the event loop is not blocked inside. `what` names the methods that run there.

    Raises:
        ConformanceError: it is.
    """
    watch = _Watch()
    watch.start()
    task = asyncio.get_running_loop().create_task(_give_signs(watch))
    try:
        await asyncio.sleep(0)  # the task starts before what it measures
        yield
        await asyncio.sleep(2 * _STEP)  # and ends after it
    finally:
        watch.stop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    blocked = watch.longest * _STEP
    check.require(
        blocked <= _LONGEST_BLOCK * check.patience,
        f"{what} stops the event loop, and with it every call.",
        expected=f"at most {_LONGEST_BLOCK * check.patience:g} s",
        got=f"{blocked:.2f} s",
        mistake="blocking input or output in an async function",
        remedy="Await an asynchronous client, or use a `patter_core.aio.threads.SerialThread`.",
    )


async def _give_signs(watch: _Watch) -> None:
    while True:
        watch.alive()
        await asyncio.sleep(_STEP)
