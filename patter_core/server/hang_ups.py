"""Legs whose hang-up failed: the carrier is asked again, in one task for each, that no call waits for.

A leg that stays up keeps a caller on a silent line, and costs by the minute.
"""

from __future__ import annotations

import logging

import anyio
import anyio.abc

from patter_core.aio.foreign import run_foreign
from patter_core.aio.tries import Tries
from patter_core.carrier import Carrier
from patter_core.observe.terminal import counted
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg

__all__ = ["HangUps"]

_log = logging.getLogger("patter.host")

_LIMIT = 5_000
"""Legs that may wait."""
_AT_ONCE = 20
"""Requests to the carrier at a time."""
_TRIES, _FIRST_PAUSE, _LONGEST_PAUSE = 8, 5.0, 600.0
"""For some 20 minutes: after 5 s, 10 s, 20 s and so on."""
_TIMEOUT = 10.0
"""Seconds for the carrier to answer."""
_LAST_TRY = 5.0
"""Seconds for that when the worker stops."""


class HangUps:
    """Hangs legs up until they are known to be over, or the tries are spent.

    Args:
        carrier: whose legs they are.
        tries: how often each is tried.
        first_pause: s, before the first try.
    """

    def __init__(self, carrier: Carrier, *, tries: int = _TRIES, first_pause: float = _FIRST_PAUSE) -> None:
        self._carrier = carrier
        self._tries = tries
        self._first_pause = first_pause
        self._waiting: dict[str, Leg] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self._requests = anyio.Semaphore(_AT_ONCE)

    def __len__(self) -> int:
        return len(self._waiting)

    def want(self, leg: Leg) -> None:
        """The carrier did not take the hang-up of this leg: it is asked again."""
        if leg.call_id in self._waiting:
            return
        if len(self._waiting) >= _LIMIT:
            _log.error("%r is not hung up again: %d others wait for it.", leg, _LIMIT)
            return
        self._waiting[leg.call_id] = leg
        if self._tasks is not None:
            self._tasks.start_soon(self._end, leg)

    def forget(self, leg: Leg) -> None:
        """The leg is over, or the carrier was told what to do with it. Idempotent."""
        self._waiting.pop(leg.call_id, None)

    async def run(self) -> None:
        """Hangs up until cancelled."""
        try:
            async with anyio.create_task_group() as self._tasks:
                await anyio.sleep_forever()
        finally:
            self._tasks = None

    async def drain(self) -> None:
        """Tries each leg that waits once more. The worker stops then."""
        with anyio.move_on_after(_LAST_TRY):
            async with anyio.create_task_group() as tasks:
                for leg in list(self._waiting.values()):
                    tasks.start_soon(self._try, leg)
        for leg in self._waiting.values():
            _log.error("%r is given up: the carrier did not take its hang-up before the worker stopped.", leg)
        self._waiting.clear()

    async def _end(self, leg: Leg) -> None:
        tries = Tries(self._tries, first_pause=self._first_pause, longest_pause=_LONGEST_PAUSE)
        while (pause := tries.failed()) is not None:
            await anyio.sleep(pause)
            await self._try(leg)
            if leg.call_id not in self._waiting:
                return
        self.forget(leg)
        _log.error(
            "%r is given up: the carrier has not taken its hang-up in %s.", leg, counted(self._tries, "try", "tries")
        )

    async def _try(self, leg: Leg) -> None:
        async with self._requests:
            if leg.call_id in self._waiting and await self._is_over(leg):
                self.forget(leg)

    async def _is_over(self, leg: Leg) -> bool:
        carrier = self._carrier
        try:
            await run_foreign(carrier.hang_up, _TIMEOUT, leg)
        except Exception:  # noqa: BLE001 - the plugin boundary
            _log.debug("%r could not be hung up.", leg, exc_info=True)
        else:
            return True
        try:
            if Capability.LOOK_UP not in carrier.capabilities:
                return False
            return (await run_foreign(carrier.look_up, _TIMEOUT, leg)).progress.is_final
        except Exception:  # noqa: BLE001 - the plugin boundary
            _log.debug("%r could not be looked up.", leg, exc_info=True)
            return False
