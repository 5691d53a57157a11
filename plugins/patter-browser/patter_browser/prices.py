"""What a call from a page costs at its carrier: nothing, since there is no vendor."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from patter_core.telephony.prices import CarrierRates

__all__ = ["RATES"]

_FREE = Decimal(0)

RATES = CarrierRates(
    inbound=_FREE,
    outbound=_FREE,
    streaming=_FREE,
    recording=_FREE,
    machine_detection=_FREE,
    as_of=dt.date(2026, 11, 26),
    source="there is no vendor: the page connects to this server itself",
)
