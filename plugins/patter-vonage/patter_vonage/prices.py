"""Vonage's price list, for estimates."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from decimal import Decimal

from patter_core.telephony.prices import CarrierRates, Cost

__all__ = ["RATES", "LegCosts"]

RATES = CarrierRates(
    inbound=Decimal("0.0085"),
    outbound=Decimal("0.00798"),
    streaming=Decimal(0),
    recording=Decimal(0),
    machine_detection=Decimal(0),
    as_of=dt.date(2026, 5, 31),
    source="Vonage's list prices in the US, from a secondary source of May 2026, which names none for media sockets",
)

MOST_CALLS = 10_000


class LegCosts:
    """What the legs of a call cost together: the phone's, and its media sockets'. Vonage tells each by itself.

    A worker knows what it was told: where the legs of a call report to several workers, the sum of each is smaller.
    """

    def __init__(self) -> None:
        self._calls: OrderedDict[str, dict[str, Cost]] = OrderedDict()

    def of(self, phone_leg: str, leg: str, cost: Cost) -> Cost | None:
        """Returns the sum for a call, with one more leg; None as long as the phone's own leg is not in it.

        Args:
            phone_leg: the call.
            leg: which of its legs has a price now.
            cost: the price.
        """
        legs = self._calls.setdefault(phone_leg, {})
        legs[leg] = cost
        self._calls.move_to_end(phone_leg)
        if len(self._calls) > MOST_CALLS:
            self._calls.popitem(last=False)
        if phone_leg not in legs:
            return None
        return Cost(sum((one.amount for one in legs.values()), Decimal(0)), cost.currency, estimated=False)
