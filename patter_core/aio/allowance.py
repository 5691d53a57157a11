"""The time that foreign code may take: it stands still while that code waits for something of ours.

A callback may take some seconds. One that transfers a call waits for the agent's last word, and for the end of the
call: that time is ours, not its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["Allowance", "not_counted"]

P = ParamSpec("P")
T = TypeVar("T")

_current: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


class Allowance:
    """A time that runs on the event loop, except while it is paused. To be used inside a running loop.

    Args:
        seconds: how long it is.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self.spent: asyncio.Future[None] = self._loop.create_future()
        """Done once it is spent."""
        self._left = seconds
        self._pauses = 0
        self._runs_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._run()

    @contextlib.contextmanager
    def of_this_task(self) -> Iterator[None]:
        """What begins inside, tasks too, has this time: `not_counted` pauses it."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still inside; several may pause it at once."""
        if self._pauses == 0:
            self._stop()
            self._left -= self._loop.time() - self._runs_since
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0:
                self._run()

    def close(self) -> None:
        """It is no longer needed."""
        self._stop()
        self.spent.cancel()

    def _run(self) -> None:
        self._runs_since = self._loop.time()
        if not self.spent.done():
            self._timer = self._loop.call_later(max(self._left, 0.0), self._spend)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _spend(self) -> None:
        if not self.spent.done():
            self.spent.set_result(None)


def not_counted(function: Callable[P, Coroutine[object, object, T]]) -> Callable[P, Coroutine[object, object, T]]:
    """Decorates a coroutine function of ours that foreign code awaits: its time is not the foreign code's."""

    @wraps(function)
    async def uncounted(*args: P.args, **kwargs: P.kwargs) -> T:
        allowance = _current.get()
        if allowance is None or allowance.spent.done() or allowance.spent.get_loop() is not asyncio.get_running_loop():
            return await function(*args, **kwargs)
        with allowance.paused():
            return await function(*args, **kwargs)

    return uncounted
