from __future__ import annotations

from decimal import Decimal

import pytest

from patter_core.telephony.prices import Cost, Usage
from patter_twilio import Twilio
from patter_twilio.prices import RATES, reported_cost


def test_the_price_list_is_the_carriers_dated_and_has_a_source() -> None:
    assert Twilio("AC" + "0" * 32, "token").rates is RATES
    assert RATES.as_of.year >= 2026
    assert "Pricing" in RATES.source


def test_a_call_costs_whole_minutes() -> None:
    assert RATES.estimate(Usage(connected=90, streamed=90)).amount == Decimal("0.0258")


def test_a_reported_price_is_a_cost() -> None:
    assert reported_cost("-0.0085", "usd") == Cost(Decimal("0.0085"), "USD", estimated=False)
    assert reported_cost("-0.01", None) == Cost(Decimal("0.01"), "USD", estimated=False)


@pytest.mark.parametrize("price", [None, "", "free", "NaN", "Infinity"])
def test_a_price_that_is_not_an_amount_is_no_cost(price: str | None) -> None:
    assert reported_cost(price, "USD") is None
