"""What is measured is what Prometheus' own parser reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record
from patter_core.sink import SinkFigures, WorkerFigures
from patter_core.telephony.leg import Leg
from patter_otel.exposition import Exposition
from patter_otel.instruments import BOUNDS

NASTY = 'a "quoted" \\ name\nof two lines'


def exposed(*events: CallEvent, figures: SinkFigures | None = None) -> dict[str, list[Sample]]:
    exposition = Exposition()
    exposition.instruments.look_at(WorkerFigures(sinks=(figures,) if figures else ()))
    exposition.instruments.feed(
        Record(call_id="call", sequence=number, time=0, elapsed_ms=0, event=event)
        for number, event in enumerate(events)
    )
    return {family.name: family.samples for family in text_string_to_metric_families(exposition.page())}


def announced(agent: str) -> CallAnnounced:
    return CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent=agent)


def ended(metrics: CallMetrics) -> CallEnded:
    return CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=metrics)


def test_a_counter_has_the_labels_of_its_call_and_an_unknown_one_is_empty() -> None:
    (sample,) = exposed(announced(NASTY), ended(CallMetrics()))["patter_calls"]
    assert (sample.name, sample.value) == ("patter_calls_total", 1)
    assert sample.labels == {
        "agent": NASTY,
        "carrier": "fake",
        "direction": "inbound",
        "engine": "",
        "reason": "caller_hung_up",
    }


@pytest.mark.parametrize(
    ("metrics", "name", "value"),
    [
        (CallMetrics(engine_ms=2500), "patter_engine_time_seconds_total", 2.5),
        (CallMetrics(bytes_in=160), "patter_audio_bytes_total", 160),
        (CallMetrics(interruptions=3), "patter_interruptions_total", 3),
    ],
)
def test_a_unit_is_spelt_out_in_the_name(metrics: CallMetrics, name: str, value: float) -> None:
    samples = [sample for of in exposed(announced("a"), ended(metrics)).values() for sample in of]
    assert [sample.value for sample in samples if sample.name == name] == [value]


def test_a_histogram_has_our_buckets() -> None:
    samples = exposed(announced("a"), ended(CallMetrics(reply_ms=(250, 750, 40_000))))["patter_reply_seconds"]
    buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name.endswith("_bucket")}
    assert list(buckets) == [*map(str, BOUNDS), "+Inf"]
    assert (buckets["0.2"], buckets["0.3"], buckets["0.75"], buckets["10.0"], buckets["+Inf"]) == (0, 1, 2, 2, 3)


def test_a_series_has_no_twin_with_its_time_of_creation() -> None:
    assert not [name for name in exposed(announced("a"), ended(CallMetrics())) if name.endswith("_created")]


def test_gauges_are_what_they_are_now() -> None:
    found = exposed(announced("a"), figures=SinkFigures(sink="redis", waiting=4, open=True))
    assert [sample.value for sample in found["patter_calls_active"]] == [1]
    assert [(sample.labels, sample.value) for sample in found["patter_sink_waiting"]] == [({"sink": "redis"}, 4)]
    assert [sample.value for sample in found["patter_sink_open"]] == [1]
