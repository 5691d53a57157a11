"""What a call cost, out of the texts that a sink has kept."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from patter_core.storage.archive import CallRow, amounts_of
from patter_core.telephony.prices import Cost, cost_text

BLANK = CallRow(
    call_id="c", started=0, carrier="", direction="", from_number="", to_number="", agent="", ended=None, reason="",
    ended_by="", duration_ms=0, reply_ms=None, engine_cost="", cost="",
)  # fmt: skip


def usd(amount: str, *, estimated: bool) -> Cost:
    return Cost(Decimal(amount), "USD", estimated)


def test_the_carriers_own_price_takes_the_place_of_its_estimate() -> None:
    row = msgspec.structs.replace(BLANK, engine_cost="0.03 USD", estimated_cost="0.01 USD")
    assert row.costs == (usd("0.04", estimated=True),)
    assert msgspec.structs.replace(row, cost="0.02 USD").costs == (usd("0.05", estimated=True),)
    assert msgspec.structs.replace(row, cost="0.02 USD", engine_cost="").costs == (usd("0.02", estimated=False),)


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({}, "acme llm, fake, zeta tts"),
        ({"unpriced": ""}, "fake"),
        ({"estimated_cost": "0.01 USD"}, "acme llm, zeta tts"),
        ({"estimated_cost": "0 USD", "unpriced": ""}, ""),  # a carrier that bills nothing
        ({"cost": "0.01 USD"}, "acme llm, zeta tts"),
        ({"duration_ms": 0.0, "unpriced": ""}, ""),  # without audio
    ],
)
def test_a_carrier_whose_price_is_not_known_is_missing_in_a_sum(fields: dict[str, object], missing: str) -> None:
    row = msgspec.structs.replace(BLANK, carrier="fake", duration_ms=1_500.0, unpriced="acme llm, zeta tts")
    assert msgspec.structs.replace(row, **fields).missing == missing


def test_currencies_are_not_added_up() -> None:
    costs = (usd("1", estimated=True), Cost(Decimal("2E-7"), "EUR", estimated=True))
    assert msgspec.structs.replace(BLANK, engine_cost=amounts_of(costs)).costs == costs


@pytest.mark.parametrize(
    ("amount", "kept"),
    [
        ("0.01171476333333333333333333333", "0.011715"),
        ("12.34567890", "12.345679"),
        ("0.0000033333333333", "0.00000333"),
        ("0.0085", "0.0085"),
        ("2E-7", "2E-7"),
        ("0", "0"),
        ("1E+3", "1E+3"),
    ],
)
def test_an_amount_is_kept_with_so_many_decimals_that_sums_stay_as_they_are(amount: str, kept: str) -> None:
    cost = Cost(Decimal(amount))
    text = amounts_of([cost])
    assert text == f"{kept} USD"
    (read,) = msgspec.structs.replace(BLANK, engine_cost=text).costs
    assert cost_text(read) == cost_text(cost)
    assert abs(read.amount - cost.amount) * 10_000 <= Decimal("0.005")  # in a sum of that many calls


@pytest.mark.parametrize("text", ["0.01 + + 0.02 USD", "0.1 US dollar", "much", "1 USD\n", " + ", "NaN USD"])
def test_what_is_no_amount_is_left_out_and_not_read_from_a_file(text: str) -> None:
    row = msgspec.structs.replace(BLANK, engine_cost=text, cost="0.01 USD")
    assert row.costs == (usd("0.01", estimated=False),)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(row), CallRow)
