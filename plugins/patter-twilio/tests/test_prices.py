from __future__ import annotations

from decimal import Decimal

from patter_core.telephony.prices import Usage
from patter_twilio import Twilio
from patter_twilio.prices import RATES
from patter_twilio.testing import ACCOUNT_SID


def test_the_price_list_is_the_carriers_dated_and_has_a_source() -> None:
    assert Twilio(ACCOUNT_SID, "token").rates is RATES
    assert RATES.as_of.year >= 2026
    assert "Pricing" in RATES.source


def test_a_call_costs_whole_minutes() -> None:
    assert RATES.estimate(Usage(connected=90, streamed=90)).amount == Decimal("0.0258")
