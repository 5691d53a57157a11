"""Percentiles are values that were measured; a bill is worked out from dated prices."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from patter_core.observe.metrics import CarrierBill, Latency
from patter_core.telephony.prices import CarrierRates, Usage

RATES = CarrierRates(
    inbound=Decimal("0.01"),
    outbound=Decimal("0.02"),
    streaming=Decimal("0.004"),
    recording=Decimal("0.0025"),
    machine_detection=Decimal("0.0075"),
    as_of=dt.date(2026, 10, 1),
    source="a price list",
)


def test_percentiles_are_by_nearest_rank() -> None:
    latency = Latency.of(float(value) for value in range(1, 101))
    assert latency == Latency(count=100, p50_ms=50, p90_ms=90, p95_ms=95, p99_ms=99, longest_ms=100)
    assert Latency.of([7.0]) == Latency(count=1, p50_ms=7, p90_ms=7, p95_ms=7, p99_ms=7, longest_ms=7)


def test_of_nothing_there_are_none() -> None:
    assert Latency.of([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_each_percentile_was_measured_and_they_rise(values: list[float]) -> None:
    latency = Latency.of(values)
    assert latency is not None
    found = [latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms, latency.longest_ms]
    assert found == sorted(found)
    assert set(found) <= set(values)
    assert latency.longest_ms == max(values)


def test_a_bill_counts_minutes_that_were_begun_and_names_its_source() -> None:
    bill = CarrierBill.of(Usage(connected=61, streamed=59), RATES)
    assert bill is not None
    assert (bill.minutes, bill.cost.amount, bill.cost.estimated) == (2, Decimal("0.024"), True)
    assert (bill.as_of, bill.source) == (dt.date(2026, 10, 1), "a price list")


def test_nobody_pays_for_a_call_that_was_not_answered_and_nobody_guesses_without_prices() -> None:
    assert CarrierBill.of(Usage(), RATES) is None
    assert CarrierBill.of(Usage(connected=1), None) is None
