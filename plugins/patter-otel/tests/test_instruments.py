"""Measurements over all calls: they have their attributes, count once, and are bounded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

import pytest

from patter_core.audio import ULAW_8000
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallMoved,
    CallPriced,
    ConversationStarted,
    Record,
    TurnTimings,
)
from patter_core.observe.metrics import CarrierBill, EngineBill
from patter_core.sink import LoopLag, SinkFigures, WorkerFigures
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost
from patter_otel import instruments as module
from patter_otel.instruments import INSTRUMENTS, Instrument, Instruments, Measure

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
CALL = {"agent": "concierge", "carrier": "fake", "direction": "inbound", "engine": "acme"}


class Library:
    """A metrics library that keeps each value."""

    def __init__(self) -> None:
        self.values: list[tuple[str, float, dict[str, str]]] = []
        self.instruments = Instruments(self._make)

    def _make(self, instrument: Instrument) -> Measure:
        def measure(value: float, attributes: Mapping[str, str]) -> None:
            assert set(attributes) <= set(instrument.attributes), "an attribute that was not announced"
            self.values.append((instrument.name, value, dict(attributes)))

        return measure

    def of(self, name: str, **attributes: str) -> list[float]:
        return [value for found, value, having in self.values if found == name and attributes.items() <= having.items()]


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
    library = Library()
    library.instruments.feed(records(ANNOUNCED, STARTED))
    assert sum(library.of("patter.calls.active")) == 1
    library.instruments.feed(records(ENDED, CallPriced(cost=Cost(Decimal("0.0085"), estimated=False))))
    assert sum(library.of("patter.calls.active")) == 0
    assert library.of("patter.calls", **CALL, reason="caller_hung_up") == [1]
    assert library.of("patter.call.duration", **CALL) == [61]
    assert library.of("patter.reply", **CALL) == [0.4, 0.9]
    assert library.of("patter.barge_in", **CALL) == [0.002]
    assert library.of("patter.turns", **CALL, by="user") == [2]
    assert library.of("patter.frames", **CALL, fate="late") == [1]
    assert library.of("patter.audio", **CALL, way="out") == [1600]
    assert library.of("patter.engine.time", **CALL) == [60]
    assert library.of("patter.carrier.billed", **CALL) == [2]
    assert library.of("patter.carrier.cost", **CALL, currency="USD") == [0.02]
    assert library.of("patter.carrier.charged", **CALL, currency="USD") == [0.0085]
    assert library.of("patter.call.answer") == []  # it was never measured
    assert library.of("patter.frames", fate="dropped") == []  # nothing is not counted


def test_names_and_units_are_those_of_the_documentation() -> None:
    assert {instrument.name: instrument.unit for instrument in INSTRUMENTS} == {
        "patter.calls": "{call}",
        "patter.calls.active": "{call}",
        "patter.calls.limit": "{call}",
        "patter.calls.turned_away": "{call}",
        "patter.workers": "{worker}",
        "patter.webhooks.refused": "{request}",
        "patter.loop.lag": "s",
        "patter.queue.dropped": "{item}",
        "patter.call.duration": "s",
        "patter.call.answer": "s",
        "patter.call.first_audio": "s",
        "patter.engine.connect": "s",
        "patter.reply": "s",
        "patter.speech_reply": "s",
        "patter.turn.stage": "s",
        "patter.barge_in": "s",
        "patter.turns": "{turn}",
        "patter.interruptions": "{interruption}",
        "patter.frames": "{frame}",
        "patter.audio": "By",
        "patter.errors": "{error}",
        "patter.engine.time": "s",
        "patter.engine.used": "1",
        "patter.engine.cost": "{currency}",
        "patter.engine.unpriced": "{call}",
        "patter.carrier.billed": "min",
        "patter.carrier.cost": "{currency}",
        "patter.carrier.charged": "{currency}",
        "patter.sink.records": "{record}",
        "patter.sink.waiting": "{record}",
        "patter.sink.held": "{record}",
        "patter.sink.open": "1",
    }


def test_a_calls_end_counts_once_however_often_it_comes() -> None:
    library = Library()
    library.instruments.feed(records(ANNOUNCED, ENDED))
    library.instruments.feed(records(ENDED))
    assert library.of("patter.calls") == [1]
    assert library.of("patter.calls.active") == [1, -1]


def test_a_call_that_another_worker_has_is_active_here_no_more_and_ends_there() -> None:
    library = Library()
    library.instruments.feed(records(ANNOUNCED, CallMoved()))
    assert library.of("patter.calls.active") == [1, -1]
    assert library.of("patter.calls") == []


def test_an_end_without_a_beginning_counts_once_with_what_is_known() -> None:
    library = Library()
    library.instruments.feed(records(STARTED, ENDED))
    library.instruments.feed(records(ENDED))
    (reason,) = [attributes for name, _, attributes in library.values if name == "patter.calls"]
    assert reason == {"reason": "caller_hung_up"}
    assert library.of("patter.calls.active") == []


def test_a_call_that_comes_to_the_worker_again_counts_again() -> None:
    library = Library()
    library.instruments.feed(records(ANNOUNCED, ENDED))
    library.instruments.feed(records(ANNOUNCED, ENDED))
    assert library.of("patter.calls") == [1, 1]
    assert sum(library.of("patter.calls.active")) == 0


def test_how_the_sinks_do_is_counted_by_what_came_since() -> None:
    library = Library()
    library.instruments.look_at(
        WorkerFigures(sinks=(SinkFigures(sink="redis", waiting=3, written=7, dropped=2, held=4, open=True),))
    )
    library.instruments.look_at(WorkerFigures(sinks=(SinkFigures(sink="redis", waiting=0, written=9, dropped=2),)))
    assert library.of("patter.sink.records", sink="redis", fate="written") == [7, 2]
    assert library.of("patter.sink.records", sink="redis", fate="dropped") == [2, 0]
    assert library.of("patter.sink.waiting", sink="redis") == [3, -3]
    assert library.of("patter.sink.held", sink="redis") == [4, -4]
    assert library.of("patter.sink.open", sink="redis") == [1, -1]


def test_sinks_of_one_name_count_together() -> None:
    library = Library()
    for written in (5, 8):
        library.instruments.look_at(
            WorkerFigures(sinks=(SinkFigures(sink="otel", written=written), SinkFigures(sink="otel", waiting=1)))
        )
    assert library.of("patter.sink.records", sink="otel", fate="written") == [5, 3]
    assert library.of("patter.sink.waiting", sink="otel") == [1, 0]


def test_a_host_that_starts_again_takes_nothing_back() -> None:
    library = Library()
    for written in (5, 0, 2):
        library.instruments.look_at(WorkerFigures(sinks=(SinkFigures(sink="redis", written=written),)))
    assert library.of("patter.sink.records", sink="redis", fate="written") == [5, 0, 2]


def test_what_the_worker_counts_beside_calls_is_told_from_its_first_zero_on() -> None:
    library = Library()
    for full in (0, 2):
        library.instruments.look_at(
            WorkerFigures(
                calls_limit=9, turned_away={"full": full}, webhooks_refused={"refused": 3}, dropped={"store": 1}
            )
        )
    assert library.of("patter.calls.turned_away", reason="full") == [0, 2]
    assert library.of("patter.webhooks.refused", reason="refused") == [3, 0]
    assert library.of("patter.queue.dropped", queue="store") == [1, 0]
    assert library.of("patter.calls.limit") == [9, 0]


def test_the_lag_of_the_loop_is_as_many_measurements_as_there_were() -> None:
    library = Library()
    counts, seconds = [0] * len(LoopLag().counts), [0.0] * len(LoopLag().counts)
    counts[0], seconds[0], counts[6], seconds[6] = 2, 0.004, 1, 0.4
    library.instruments.look_at(WorkerFigures(loop_lag=LoopLag(tuple(counts), tuple(seconds))))
    assert library.of("patter.loop.lag") == [0.002, 0.002, 0.4]
    counts[6], seconds[6] = 2, 0.8
    library.instruments.look_at(WorkerFigures(loop_lag=LoopLag(tuple(counts), tuple(seconds))))
    assert library.of("patter.loop.lag")[3:] == [0.4]
    library.instruments.look_at(WorkerFigures())  # another host
    library.instruments.look_at(WorkerFigures(loop_lag=LoopLag(tuple(counts), tuple(seconds))))
    assert len(library.of("patter.loop.lag")) == 8


def test_names_of_agents_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGENTS_KEPT", 2)
    library = Library()
    for agent in ("one", "two", "three", "four", "one"):
        announced = CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent=agent)
        library.instruments.feed(records(announced, ENDED, call_id=agent))
    assert [attributes["agent"] for name, _, attributes in library.values if name == "patter.calls"] == [
        "one",
        "two",
        "other",
        "other",
        "one",
    ]


def test_calls_that_never_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CALLS_KEPT", 2)
    library = Library()
    for number in range(5):
        library.instruments.feed(records(ANNOUNCED, call_id=str(number)))
    assert sum(library.of("patter.calls.active")) == 2


def test_stages_of_answers_and_what_the_parts_bill() -> None:
    library = Library()
    bills = (
        EngineBill(part="tts", vendor="acme", model="m", amounts={"characters": 300.0}, cost=Cost(Decimal("0.015"))),
        EngineBill(part="llm", vendor="acme", amounts={"input_text_tokens": 10.0}, is_priced=False),
    )
    ended = CallEnded(reason="x", by="caller", duration_ms=1, metrics=CallMetrics(engine_bills=bills))
    timings = TurnTimings(turn="1", stages_ms={"first_token": -100.0, "sent": 900.0, "made-up": 5.0})
    library.instruments.feed(records(ANNOUNCED, STARTED, timings, ended))
    assert library.of("patter.turn.stage", **CALL, stage="sent") == [0.9]
    assert library.of("patter.turn.stage", **CALL, stage="first_token") == [0]
    assert library.of("patter.turn.stage", **CALL, stage="other") == [0.005]
    assert library.of("patter.engine.used", **CALL, part="tts", vendor="acme", of="characters") == [300]
    assert library.of("patter.engine.used", **CALL, part="llm", of="input_text_tokens") == [10]
    assert library.of("patter.engine.cost") == [0.015]
    assert library.of("patter.engine.cost", part="tts", model="m", currency="USD") == [0.015]
    assert library.of("patter.engine.unpriced") == [1]
    assert library.of("patter.engine.unpriced", **CALL, part="llm", vendor="acme", model="") == [1]
