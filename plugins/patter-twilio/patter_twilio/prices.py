"""Twilio's prices: the price list, for estimates, and the price that its API reports for a call."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation

from patter_core.telephony.prices import CarrierRates, Cost

__all__ = ["RATES", "reported_cost"]

RATES = CarrierRates(
    inbound=Decimal("0.0085"),
    outbound=Decimal("0.0140"),
    streaming=Decimal("0.0044"),
    recording=Decimal("0.0025"),
    machine_detection=Decimal("0.0075"),
    as_of=dt.date(2026, 6, 30),
    source="Twilio's page “Programmable Voice Pricing”, United States, local numbers",
)


def reported_cost(price: str | None, unit: str | None) -> Cost | None:
    """Returns the cost of the connection; None until Twilio knows it.

    Args:
        price: negative, since it is taken from the account.
        unit: the currency.
    """
    try:
        amount = abs(Decimal(price or ""))
    except InvalidOperation:
        return None
    return Cost(amount, (unit or "USD").upper(), estimated=False) if amount.is_finite() else None
