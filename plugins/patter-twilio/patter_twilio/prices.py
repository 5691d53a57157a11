"""Twilio's price list, for estimates."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from patter_core.telephony.prices import CarrierRates

__all__ = ["RATES"]

RATES = CarrierRates(
    inbound=Decimal("0.0085"),
    outbound=Decimal("0.0140"),
    streaming=Decimal("0.0044"),
    recording=Decimal("0.0025"),
    machine_detection=Decimal("0.0075"),
    as_of=dt.date(2026, 6, 30),
    source="Twilio's page “Programmable Voice Pricing”, United States, local numbers",
)
