"""Waiting for a change of state: code that changes it notifies, and tasks wait until a condition holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

__all__ = ["Changes"]


class Changes:
    """Wakes the tasks that wait, all at once. Unlike an event it has no state: a notification without waiters is lost.

    That loses no change as long as the state is looked at before each wait, as `wait_until` does. For one event loop:
    `notify` is not safe to call from another thread.
    """

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def notify(self) -> None:
        """Wakes every task that waits now."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():  # cancelled, and its task has not run since
                    waiter.set_result(None)

    async def wait(self) -> None:
        """Returns at the next notification."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):  # a notification came first
                self._waiters.remove(waiter)
            raise

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Returns as soon as `condition` is true: at once, or after one of the next notifications."""
        while not condition():
            await self.wait()
