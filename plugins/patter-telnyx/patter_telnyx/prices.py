"""Telnyx's prices: the price list, for estimates, and the price in its `call.cost` event."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation

import msgspec

from patter_core.telephony.prices import CarrierRates, Cost

__all__ = ["PREMIUM_RATES", "RATES", "reported_cost"]

RATES = CarrierRates(
    inbound=Decimal("0.0055"),
    outbound=Decimal("0.007"),
    streaming=Decimal("0.0035"),
    recording=Decimal("0.002"),
    machine_detection=Decimal("0.002"),
    as_of=dt.date(2026, 6, 30),
    source="Telnyx's list prices for local numbers in the US, from a secondary source of mid-2026",
)
PREMIUM_RATES = msgspec.structs.replace(RATES, machine_detection=Decimal("0.0065"))
"""With premium machine detection."""


def reported_cost(total: str | None, currency: str | None) -> Cost | None:
    """Returns the cost of the call; None if it is not an amount."""
    try:
        amount = Decimal(total or "")
    except InvalidOperation:
        return None
    return Cost(amount, currency or "USD", estimated=False) if amount.is_finite() and amount >= 0 else None
