from __future__ import annotations

import dataclasses
from decimal import Decimal

from patter_core.telephony.leg import Direction
from patter_core.telephony.prices import Usage
from patter_telnyx import Telnyx
from patter_telnyx.prices import PREMIUM_RATES, RATES


def test_the_price_list_is_the_carriers_dated_and_has_a_source() -> None:
    telnyx = Telnyx("KEY", "17", "A" * 43 + "=")
    assert telnyx.rates is RATES
    assert dataclasses.replace(telnyx, machine_detection="premium").rates is PREMIUM_RATES
    assert RATES.as_of.year >= 2026
    assert "list prices" in RATES.source


def test_a_call_costs_whole_minutes() -> None:
    usage = Usage(direction=Direction.OUTBOUND, connected=61.0, streamed=61.0, recorded=30.0, machine_detection=True)
    cost = RATES.estimate(usage)
    assert cost.amount == 2 * Decimal("0.007") + 2 * Decimal("0.0035") + Decimal("0.002") + Decimal("0.002")
    assert cost.estimated


def test_premium_machine_detection_has_its_own_price() -> None:
    assert PREMIUM_RATES.machine_detection == Decimal("0.0065")
    assert PREMIUM_RATES.outbound == RATES.outbound
