from __future__ import annotations

from decimal import Decimal

from patter_core.telephony.prices import Cost
from patter_vonage import Vonage, prices
from patter_vonage.prices import RATES, LegCosts
from patter_vonage.testing.keys import new_key


def euros(amount: str) -> Cost:
    return Cost(Decimal(amount), "EUR", estimated=False)


def test_the_price_list_is_the_carriers_dated_and_has_a_source() -> None:
    vonage = Vonage("78d335fa-323d-0114-9c3d-d6f0d48968cf", new_key()[0], "key", "a signature secret")
    assert vonage.rates is RATES
    assert RATES.as_of.year >= 2026
    assert "list prices" in RATES.source


def test_the_legs_of_a_call_cost_what_they_cost_together_in_any_order() -> None:
    costs = LegCosts()
    assert costs.of("phone", "socket 1", euros("0.002")) is None  # the phone's own leg is not known yet
    assert costs.of("phone", "phone", euros("0.01")) == euros("0.012")
    assert costs.of("phone", "phone", euros("0.01")) == euros("0.012")  # told again
    assert costs.of("phone", "socket 2", euros("0.003")) == euros("0.015")
    assert costs.of("other", "other", euros("1")) == euros("1")


def test_not_all_calls_are_remembered() -> None:
    costs = LegCosts()
    for number in range(prices.MOST_CALLS + 1):
        costs.of(str(number), "socket", euros("1"))
    assert costs.of("0", "0", euros("1")) == euros("1")
    assert costs.of(str(prices.MOST_CALLS), str(prices.MOST_CALLS), euros("1")) == euros("2")
