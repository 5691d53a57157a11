"""Tells the figures of a call while it lasts: by a timer, which holds less memory than a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from patter_core.call.context import CallContext
from patter_core.events import MetricsReported
from patter_core.observe.metrics import CallMetrics

__all__ = ["MetricReports"]


class MetricReports:
    """Every `HostConfig.report_every` seconds, from `begin` to `end`.

    Args:
        call: what the parts of the call share.
        metrics: returns the figures so far.
    """

    def __init__(self, call: CallContext, metrics: Callable[[], CallMetrics]) -> None:
        self._call = call
        self._metrics = metrics
        self._next: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The call has its media."""
        self._next = asyncio.get_running_loop().call_later(self._call.config.report_every, self._tell)

    def end(self) -> None:
        """The call is over."""
        if self._next is not None:
            self._next.cancel()

    def _tell(self) -> None:
        self._call.emit(MetricsReported(metrics=self._metrics()))
        self.begin()
