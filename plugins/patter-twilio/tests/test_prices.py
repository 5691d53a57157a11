from __future__ import annotations

from decimal import Decimal

from patter_core.telephony.prices import Usage
from patter_twilio import Twilio
from patter_twilio.prices import RATES


def test_the_prices_are_dated_have_a_source_and_are_the_carriers() -> None:
    assert Twilio("AC" + "0" * 32, "token").rates is RATES
    assert RATES.as_of.year >= 2026
    assert "Pricing" in RATES.source


def test_a_call_of_ninety_seconds_costs_two_minutes() -> None:
    assert RATES.estimate(Usage(connected=90, streamed=90)).amount == Decimal("0.0258")
