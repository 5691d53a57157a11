"""Prices: each part rounded up to minutes, as carriers bill."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec
import pytest

from patter_core.telephony.leg import Direction
from patter_core.telephony.prices import CarrierRates, Cost, Usage, cost_text, costs_sign, costs_text, reported_cost

RATES = CarrierRates(
    inbound=Decimal("0.01"),
    outbound=Decimal("0.02"),
    streaming=Decimal("0.004"),
    recording=Decimal("0.003"),
    machine_detection=Decimal("0.0075"),
    as_of=dt.date(2026, 1, 1),
    source="a page",
)


@pytest.mark.parametrize(
    ("usage", "amount"),
    [
        (Usage(), "0"),
        (Usage(connected=1), "0.01"),
        (Usage(connected=60, streamed=60), "0.014"),
        (Usage(connected=60.5, streamed=59), "0.024"),
        (Usage(direction=Direction.OUTBOUND, connected=61, streamed=1, recorded=30), "0.047"),
        (Usage(direction=Direction.OUTBOUND, machine_detection=True), "0.0075"),
    ],
)
def test_an_estimate_counts_minutes_begun(usage: Usage, amount: str) -> None:
    cost = RATES.estimate(usage)
    assert (cost.amount, cost.currency, cost.estimated) == (Decimal(amount), "USD", True)


def test_a_cost_survives_json() -> None:
    cost = Cost(Decimal("0.0085"), "EUR", estimated=False)
    assert msgspec.json.decode(msgspec.json.encode(cost), type=Cost) == cost


@pytest.mark.parametrize(
    ("amount", "currency", "cost"),
    [
        ("0.0042", "eur", Cost(Decimal("0.0042"), "EUR", estimated=False)),
        ("0", None, Cost(Decimal(0), estimated=False)),
    ],
)
def test_a_reported_amount_is_a_cost(amount: str, currency: str | None, cost: Cost) -> None:
    assert reported_cost(amount, currency) == cost


@pytest.mark.parametrize("amount", [None, "", "free", "NaN", "-1", "Infinity"])
def test_what_is_not_an_amount_is_no_cost(amount: str | None) -> None:
    assert reported_cost(amount, "USD") is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("0.00004", "0.00004"),
        ("0.0000000123", "0.00000001"),
        ("0.0001", "0.0001"),
        ("0.0125", "0.0125"),
        ("1", "1.00"),
        ("1.5986", "1.60"),
        ("1234", "1234.00"),
    ],
)
def test_an_amount_has_four_decimals_below_one_or_more_up_to_its_first_digit(amount: str, text: str) -> None:
    assert cost_text(Cost(Decimal(amount), estimated=False)) == f"{text} USD"


def test_a_sum_without_a_part_of_unknown_price_says_so() -> None:
    costs = (Cost(Decimal("0.02")), Cost(Decimal("0.01"), "EUR", estimated=False))
    assert costs_text(costs) == "about 0.0200 USD + 0.0100 EUR"
    assert costs_text(costs, "acme llm") == "at least 0.0200 USD + 0.0100 EUR (acme llm: no price known)"
    assert costs_text((), "acme llm, acme tts") == "acme llm, acme tts: no price known"
    assert costs_text((), of="stt") == ""


def test_in_a_table_a_sum_has_a_sign_in_place_of_words() -> None:
    costs = (Cost(Decimal("0.02")), Cost(Decimal("0.01"), "EUR", estimated=False))
    assert costs_sign(costs) == "≈ 0.0200 USD + 0.0100 EUR"
    assert costs_sign(costs[1:]) == "0.0100 EUR"
    assert costs_sign(costs, "acme llm") == "≥ 0.0200 USD + 0.0100 EUR"
    assert (costs_sign((), "acme llm"), costs_sign(())) == ("unknown", "")
