"""Foreign coroutine functions of one object, of which one runs at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from patter_core.aio.foreign import run_foreign

__all__ = ["OneAtATime"]

P = ParamSpec("P")
T = TypeVar("T")


class OneAtATime:
    """Runs foreign coroutine functions: one begins once the one before has ended, even if that was left behind."""

    def __init__(self) -> None:
        self._latest: asyncio.Task[object] | None = None

    async def run(
        self, function: Callable[P, Awaitable[T]], within: float | None, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """As `run_foreign`; the time for the one before counts, too."""

        async def alone() -> None:
            await self.wait()
            self._latest = asyncio.current_task()
            await function(*args, **kwargs)

        await run_foreign(alone, within)

    async def wait(self) -> None:
        """Returns once the latest one has ended."""
        task = self._latest
        if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({task})
