"""Tells in the log when the event loop was blocked: all live calls are silent meanwhile, and nothing else shows why.

It also measures how late the loop runs what is due.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable

import anyio

from patter_core.aio.stacks import stack_of_thread
from patter_core.observe.terminal import counted
from patter_core.sink import LAG_BOUNDS, LoopLag

__all__ = ["LoopWatchdog"]

_log = logging.getLogger("patter.watchdog")

_BLOCKED = 0.25
"""Seconds; a shorter block is filled by what the carrier and the engine have buffered."""
_BEAT = 0.05
"""Seconds between two signs of life of the event loop, while calls are live."""
_IDLE = 0.5
"""Seconds between two looks whether calls are live."""
_REPORT_EVERY = 10.0
"""Seconds between two lines in the log, at least."""
_FRAMES = 12
"""The innermost frames of the stack that are shown."""


class LoopWatchdog:
    """Watches the event loop that it runs on, as long as it is needed.

    Args:
        live_calls: how many calls are live; without one, nothing is watched.
        clock: monotonic s.
    """

    def __init__(self, live_calls: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._live_calls = live_calls
        self._clock = clock
        self._report_at = -_REPORT_EVERY
        self._untold: list[float] = []
        self._counts, self._seconds = list(LoopLag().counts), list(LoopLag().seconds)

    @property
    def lag(self) -> LoopLag:
        """How late the loop was."""
        return LoopLag(tuple(self._counts), tuple(self._seconds))

    async def run(self) -> None:
        """Watches until it is cancelled."""
        observer = _Observer(threading.get_ident(), self._clock)
        observer.start()
        try:
            while True:
                if not self._live_calls():
                    observer.rest()
                    await anyio.sleep(_IDLE)
                    continue
                began = self._clock()
                observer.beat(began)
                await anyio.sleep(_BEAT)
                took = self._clock() - began
                self._measure(max(0.0, took - _BEAT))
                if took >= _BLOCKED:
                    self._report(took, observer.place_since(began))
        finally:
            observer.stop()

    def _measure(self, late: float) -> None:
        bucket = bisect_left(LAG_BOUNDS, late)
        self._counts[bucket] += 1
        self._seconds[bucket] += late

    def _report(self, seconds: float, place: str) -> None:
        if self._clock() < self._report_at:
            self._untold.append(seconds)
            return
        more = ""
        if self._untold:
            times = counted(len(self._untold), "more time")
            more = f" It was {times} since the last report, for up to {max(self._untold):.2f} s."
        _log.warning(
            "The event loop was blocked for %.2f s, with %s live: nothing was heard meanwhile.%s %s",
            seconds,
            counted(self._live_calls(), "call"),
            more,
            f"It was here:\n{place}"
            if place
            else "Where is not known: the whole process stood still, because the"
            " machine is busy, or because native code kept Python's lock.",
        )
        self._untold.clear()
        self._report_at = self._clock() + _REPORT_EVERY


class _Observer:
    """A thread that looks where the event loop's thread is while it gives no sign of life."""

    def __init__(self, loop_thread: int, clock: Callable[[], float]) -> None:
        self._loop_thread = loop_thread
        self._clock = clock
        self._beating = threading.Event()
        self._stopped = threading.Event()
        self._beat = clock()
        self._place = (0.0, "")
        """The beat after which the loop's thread was there, and where it was."""

    def start(self) -> None:
        """Starts the thread. It keeps no process alive."""
        threading.Thread(target=self._observe, name="patter watchdog", daemon=True).start()

    def beat(self, now: float) -> None:
        """The event loop runs."""
        self._beat = now
        self._beating.set()

    def rest(self) -> None:
        """No further beat comes for a while."""
        self._beating.clear()

    def stop(self) -> None:
        """Ends the thread soon."""
        self._stopped.set()
        self._beating.set()

    def place_since(self, beat: float) -> str:
        """Returns where the loop's thread was seen after a beat; "" if it was not."""
        seen_after, place = self._place
        return place if seen_after == beat else ""

    def _observe(self) -> None:
        while True:
            self._beating.wait()
            before = self._clock()
            if self._stopped.wait(_BEAT):
                return
            now, beat = self._clock(), self._beat
            stood_still = now - before > 3 * _BEAT  # this thread, too, so the loop's is not to blame
            if now - beat > 2 * _BEAT and not stood_still and self._beating.is_set():
                self._place = beat, stack_of_thread(self._loop_thread, frames=_FRAMES)
