"""The clock of the load: every speaker gets its tick each 20 ms, by absolute deadlines, phases spread evenly."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Sequence

from tests.bench.voice import FRAME_MS

__all__ = ["Pacer"]

_SLOTS = 20
"""A millisecond each: uvloop's timers know nothing finer."""
_SLOT_S = FRAME_MS / 1000 / _SLOTS


class Pacer:
    """Calls each of `speakers` every 20 ms; the first and the last of them almost 20 ms apart."""

    def __init__(self, speakers: Sequence[Callable[[], None]]) -> None:
        self.late_ms = array("d")
        """By how much each slot was late."""
        count = len(speakers)
        self._slots = [tuple(speakers[slot * count // _SLOTS : (slot + 1) * count // _SLOTS]) for slot in range(_SLOTS)]
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._slot = 0

    def start(self) -> None:
        self._began = time.perf_counter()
        self._tick()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        elapsed = time.perf_counter() - self._began
        while self._slot * _SLOT_S <= elapsed:
            self.late_ms.append((elapsed - self._slot * _SLOT_S) * 1000)
            for speak in self._slots[self._slot % _SLOTS]:
                speak()
            self._slot += 1
        self._timer = self._loop.call_later(_SLOT_S, self._tick)
