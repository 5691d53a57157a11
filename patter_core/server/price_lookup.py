"""Asks carriers what calls really cost: some time after the call, in one task that nothing waits for."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable

import anyio

from patter_core.aio import Changes
from patter_core.aio.foreign import run_foreign
from patter_core.carrier import Carrier
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost

__all__ = ["PriceLookup"]

_log = logging.getLogger("patter.prices")

_LIMIT = 5_000
"""Calls that may wait; the price of a further one is not looked up."""
_TIMEOUT = 20.0
"""Seconds for the carrier to answer."""


class PriceLookup:
    """Looks up the price of ended calls, one at a time.

    Args:
        carrier: is asked, if it has the capability PRICE.
        on_price: takes each price; never waits.
        ask_after: seconds after the call's end; each further one is used if the carrier did not know the price before.
    """

    def __init__(self, carrier: Carrier, on_price: Callable[[Leg, Cost], None], ask_after: tuple[float, ...]) -> None:
        self.skipped = 0
        """Calls whose price was not looked up, because too many waited."""
        self._carrier = carrier
        self._on_price = on_price
        self._ask_after = ask_after if Capability.PRICE in carrier.capabilities else ()
        self._waiting: list[tuple[float, int, Leg, int]] = []
        """Heap of: when it is due, order of arrival, the call, the attempt."""
        self._order = itertools.count()
        self._changes = Changes()

    def __len__(self) -> int:
        return len(self._waiting)

    def want(self, leg: Leg, attempt: int = 0) -> None:
        """Has the price of that call looked up later."""
        if attempt >= len(self._ask_after):
            return
        if len(self._waiting) >= _LIMIT:
            if not self.skipped:
                _log.warning("The prices of further calls are not looked up: %d calls wait for theirs.", _LIMIT)
            self.skipped += 1
            return
        due = anyio.current_time() + self._ask_after[attempt]
        heapq.heappush(self._waiting, (due, next(self._order), leg, attempt))
        self._changes.notify()

    async def run(self) -> None:
        """Looks up prices until cancelled."""
        while True:
            wait = self._waiting[0][0] - anyio.current_time() if self._waiting else float("inf")
            if wait > 0:
                with anyio.move_on_after(wait):
                    await self._changes.wait()
                continue
            _, _, leg, attempt = heapq.heappop(self._waiting)
            await self._look_up(leg, attempt)

    async def _look_up(self, leg: Leg, attempt: int) -> None:
        try:
            cost = (await run_foreign(self._carrier.look_up, _TIMEOUT, leg)).cost
        except Exception:  # noqa: BLE001 - the plugin boundary
            _log.debug("The price of %r could not be looked up.", leg, exc_info=True)
            self.want(leg, attempt + 1)
            return
        if cost is None:
            self.want(leg, attempt + 1)
        else:
            self._on_price(leg, cost)
