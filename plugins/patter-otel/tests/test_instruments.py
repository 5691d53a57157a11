"""Figures over all calls: they only grow, have their labels, and are bounded."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, CallPriced, ConversationStarted, Record
from patter_core.observe.metrics import CarrierBill
from patter_core.sink import SinkFigures
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost
from patter_otel import instruments as module
from patter_otel.instruments import Family, FamilyKind, Instruments

METRICS = CallMetrics(
    duration_ms=61_000,
    first_audio_ms=55,
    engine_connect_ms=120,
    reply_ms=(400, 900),
    barge_in_ms=(2,),
    turns=3,
    user_turns=2,
    frames_in=100,
    frames_late=1,
    bytes_out=1600,
    errors=1,
    engine_ms=60_000,
    carrier_bill=CarrierBill(minutes=2, cost=Cost(Decimal("0.02")), as_of=dt.date(2026, 10, 1), source="a price list"),
)
LABELS = (("agent", "concierge"), ("carrier", "fake"), ("direction", "inbound"), ("engine", "acme"))


def records(*events: CallEvent, call_id: str = "call") -> list[Record]:
    return [
        Record(call_id=call_id, sequence=number, time=0, elapsed_ms=0, event=event)
        for number, event in enumerate(events)
    ]


ANNOUNCED = CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="concierge")
STARTED = ConversationStarted(
    engine="acme", conversation_id="1", input_format=ULAW_8000, output_format=ULAW_8000, connect_ms=1
)
ENDED = CallEnded(reason="caller_hung_up", by="caller", duration_ms=61_000, metrics=METRICS)


def test_a_call_counts_with_who_had_it() -> None:
    figures = Instruments()
    figures.feed(records(ANNOUNCED, STARTED))
    assert figures.active.point(()).value == 1
    figures.feed(records(ENDED, CallPriced(cost=Cost(Decimal("0.0085"), estimated=False))))
    assert figures.active.point(()).value == 0
    assert figures.calls.points[(*LABELS, ("reason", "caller_hung_up"))].value == 1
    assert figures.duration.points[LABELS].value == 61
    assert figures.reply.points[LABELS].value == pytest.approx(1.3)
    assert sum(figures.reply.points[LABELS].counts) == 2
    assert figures.barge_in.points[LABELS].counts[0] == 1
    assert figures.turns.points[tuple(sorted((*LABELS, ("by", "user"))))].value == 2
    assert figures.frames.points[tuple(sorted((*LABELS, ("fate", "late"))))].value == 1
    assert figures.engine_time.points[LABELS].value == 60
    assert figures.minutes.points[LABELS].value == 2
    assert figures.cost.points[tuple(sorted((*LABELS, ("currency", "USD"))))].value == pytest.approx(0.02)
    assert figures.charged.points[tuple(sorted((*LABELS, ("currency", "USD"))))].value == pytest.approx(0.0085)
    assert figures.answer.points == {}  # it was never measured


def test_how_the_sinks_do_is_a_figure_too() -> None:
    figures = Instruments()
    figures.look_at([SinkFigures(sink="redis", waiting=3, written=7, dropped=2, open=True)])
    assert figures.sink_records.points[("fate", "dropped"), ("sink", "redis")].value == 2
    assert figures.sink_waiting.points[(("sink", "redis"),)].value == 3
    assert figures.sink_open.points[(("sink", "redis"),)].value == 1


@given(st.lists(st.floats(0, 100)))
def test_each_value_is_in_the_bucket_of_its_bound(values: list[float]) -> None:
    family = Family("x", FamilyKind.HISTOGRAM, "s", "", (1.0, 10.0))
    for value in values:
        family.observe((), value)
    counts = family.points[()].counts if values else [0, 0, 0]
    assert counts == [
        sum(value <= 1 for value in values),
        sum(1 < value <= 10 for value in values),
        sum(value > 10 for value in values),
    ]


def test_labels_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POINTS_KEPT", 2)
    family = Family("x", FamilyKind.COUNTER, "1", "")
    for number in range(5):
        family.add((("agent", str(number)),), 1)
    assert family.points[()].value == 3
    assert len(family.points) == 3


def test_calls_that_never_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CALLS_KEPT", 2)
    figures = Instruments()
    for number in range(5):
        figures.feed(records(ANNOUNCED, call_id=str(number)))
    assert figures.active.point(()).value == 2
