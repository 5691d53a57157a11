"""Telnyx's price list, for estimates."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from patter_core.telephony.prices import CarrierRates

__all__ = ["PREMIUM_RATES", "RATES"]

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
