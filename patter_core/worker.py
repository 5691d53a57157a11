"""Blocking work (files, databases) in a thread, for sinks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from patter_core.errors import SinkUnavailable

__all__ = ["Worker"]

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds to wait for a piece of work whose caller has gone."""


class Worker:
    """Does one piece of work at a time, in a thread.

    A caller that is cancelled does not wait for its work, which may hang: the work is left behind, and as long as it
    goes on, no other is begun.
    """

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do `work` and give what it returns.

        Raises:
            SinkUnavailable: earlier work still hangs.
            Exception: whatever `work` raises.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(
            lambda: self._alone(work, *args, **kwargs), abandon_on_cancel=True, limiter=self._limiter
        )

    def _alone(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._busy.acquire(timeout=_PATIENCE):
            raise SinkUnavailable("Earlier work still hangs.", remedy="Look at the disk.")
        try:
            return work(*args, **kwargs)
        finally:
            self._busy.release()
