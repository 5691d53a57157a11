"""How long a plugin holds the event loop: its synchronous methods, and each step of its asynchronous ones.

What counts is the time by the clock, less that of garbage collection, which may come at any time, and less the time for
which the thread waited for a processor, where the system tells it: a busy machine fails no plugin.
"""

from __future__ import annotations

import gc
import heapq
import time
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import ParamSpec, TypeVar

from patter_core.testing.conformance.check import Check

__all__ = ["Pace"]

P = ParamSpec("P")
T = TypeVar("T")

_ONCE = 0.25
"""Seconds that a method may never take."""
_OFTEN = 0.04
"""Seconds that it may take twice: what is loaded once takes its time."""
_TIMES = 3
_SCHEDULED = Path("/proc/thread-self/schedstat")
"""Linux: the thread's time on a processor, and its time of waiting for one, in ns."""
_TELLS = _SCHEDULED.exists()


class Pace:
    """The time that each method of one plugin takes."""

    def __init__(self, check: Check) -> None:
        self.on_slow: Callable[[], object] = _ignore
        """Called when a method is found to be slow; `require_quick` then raises."""
        self._check = check
        self._worst: dict[str, list[float]] = {}
        """By method, the longest times in s; a heap, the shortest of them first."""
        self._slow = ""
        self._factor = max(1.0, check.patience)

    def timed(self, name: str, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a synchronous method."""
        began = _now()
        try:
            return method(*args, **kwargs)
        finally:
            self._took(name, began)

    async def stepwise(self, name: str, awaitable: Awaitable[T]) -> T:
        """Awaits an asynchronous method: what it does between two waits is timed."""
        return await _Steps(self, name, awaitable)

    def require_quick(self) -> None:
        """Checks what was timed so far.

        Raises:
            ConformanceError: a method is slow.
        """
        if self._slow:
            worst = max(self._worst[self._slow])
            self._check.now(f"the time of {self._slow}")
            raise self._check.failed(
                f"{self._slow} holds the event loop, and with it every call.",
                expected=f"a few ms, and at most {_OFTEN * self._factor * 1000:.0f} ms",
                got=f"{worst * 1000:.0f} ms",
                mistake="blocking input or output, or a long calculation",
                remedy="Await an asynchronous client, or use a `patter_core.aio.threads.SerialThread`.",
            )

    def _took(self, name: str, began: _Moment) -> None:
        took = _since(began)
        worst = self._worst.setdefault(name, [0.0] * _TIMES)
        if took > worst[0]:
            heapq.heapreplace(worst, took)
            if not self._slow and (worst[0] > _OFTEN * self._factor or took > _ONCE * self._factor):
                self._slow = name
                self.on_slow()


class _Steps(Awaitable[T]):
    def __init__(self, pace: Pace, name: str, awaitable: Awaitable[T]) -> None:
        self._pace = pace
        self._name = name
        self._awaitable = awaitable

    def __await__(self) -> Generator[object, object, T]:
        pace, name = self._pace, self._name
        steps: Generator[object, object, T] = pace.timed(name, self._awaitable.__await__)
        step: Callable[[], object] = lambda: next(steps)  # noqa: E731 - the next one may throw
        while True:
            try:
                awaited = pace.timed(name, step)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                sent = yield awaited
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the awaitable's
                step = _throwing(steps, error)
            else:
                step = _sending(steps, sent)


def _throwing(steps: Generator[object, object, T], error: BaseException) -> Callable[[], object]:
    return lambda: steps.throw(error)


def _sending(steps: Generator[object, object, T], sent: object) -> Callable[[], object]:
    return lambda: steps.send(sent)


_Moment = tuple[float, float]
"""The clock, and for how long the thread has waited for a processor or collected garbage; in s."""


class _Collections:
    """How long garbage was collected so far: `gc.callbacks` calls it before and after each time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __call__(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.seconds += time.thread_time() - self._began


_collections = _Collections()
gc.callbacks.append(_collections)


def _now() -> _Moment:
    waited = int(_SCHEDULED.read_bytes().split()[1]) / 1e9 if _TELLS else 0.0
    return time.perf_counter(), waited + _collections.seconds


def _since(began: _Moment) -> float:
    clock, waited = _now()
    return clock - began[0] - (waited - began[1])


def _ignore() -> None:
    """Nothing waits for it."""
