"""What carriers really charge: asked for after a call, when they know, in one task that nothing waits for."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable

import anyio

from patter_core.carrier import Carrier
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost

__all__ = ["PriceLookup"]

_log = logging.getLogger("patter.prices")

_LIMIT = 5_000
"""Calls that wait: beyond them the price of the next is not asked for."""
_TIMEOUT = 20.0


class PriceLookup:
    """Asks a carrier for the price of calls that are over, one at a time.

    Args:
        carrier: whom to ask. One that cannot be asked is left alone.
        tell: takes what was found; never waits.
        ask_after: seconds after the call's end; the next is tried if the one before found no price.
    """

    def __init__(self, carrier: Carrier, tell: Callable[[Leg, Cost], None], ask_after: tuple[float, ...]) -> None:
        self.skipped = 0
        """Calls whose price was never asked for, for want of room."""
        self._carrier = carrier
        self._tell = tell
        self._ask_after = ask_after if Capability.PRICE in carrier.capabilities else ()
        self._waiting: list[tuple[float, int, Leg, int]] = []
        self._order = itertools.count()
        self._wake = anyio.Event()

    def want(self, leg: Leg, attempt: int = 0) -> None:
        """Find out, later, what this call cost."""
        if attempt >= len(self._ask_after):
            return
        if len(self._waiting) >= _LIMIT:
            self.skipped += 1
            return
        due = anyio.current_time() + self._ask_after[attempt]
        heapq.heappush(self._waiting, (due, next(self._order), leg, attempt))
        self._wake.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            wait = self._waiting[0][0] - anyio.current_time() if self._waiting else float("inf")
            if wait > 0:
                with anyio.move_on_after(wait):
                    await self._wake.wait()
                self._wake = anyio.Event()
                continue
            _, _, leg, attempt = heapq.heappop(self._waiting)
            await self._ask(leg, attempt)

    async def _ask(self, leg: Leg, attempt: int) -> None:
        try:
            with anyio.fail_after(_TIMEOUT):
                facts = await self._carrier.look_up(leg)
        except Exception:  # noqa: BLE001 - the plugin boundary; TimeoutError too
            _log.debug("The price of %r could not be asked for.", leg, exc_info=True)
            self.want(leg, attempt + 1)
            return
        if facts.cost is None:
            self.want(leg, attempt + 1)
        else:
            self._tell(leg, facts.cost)
