"""The page is what Prometheus' own client library reads."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from patter_otel.exposition import expose
from patter_otel.instruments import Family, FamilyKind

NASTY = 'a "quoted" \\ name\nof two lines'


def test_counters_gauges_and_histograms_are_read_back() -> None:
    calls = Family("patter.calls", FamilyKind.COUNTER, "{call}", NASTY)
    calls.add((("agent", NASTY),), 12_345_678)
    waiting = Family("patter.sink.waiting", FamilyKind.GAUGE, "{record}", "Waiting")
    waiting.add((), 3)
    reply = Family("patter.reply", FamilyKind.HISTOGRAM, "s", "Replies", (0.5, 1.0))
    for value in (0.25, 0.75, 4.0):
        reply.observe((("carrier", "fake"),), value)
    minutes = Family("patter.carrier.billed", FamilyKind.COUNTER, "min", "Minutes")
    minutes.add((), 2)
    read = {family.name: family for family in text_string_to_metric_families(expose([calls, waiting, reply, minutes]))}

    (sample,) = read["patter_calls"].samples
    assert (sample.name, sample.labels, sample.value) == ("patter_calls_total", {"agent": NASTY}, 12_345_678)
    assert read["patter_calls"].documentation == NASTY
    assert read["patter_sink_waiting"].type == "gauge"
    assert read["patter_carrier_billed_minutes"].samples[0].value == 2
    histogram = {
        (sample.name, sample.labels.get("le")): sample.value for sample in read["patter_reply_seconds"].samples
    }
    assert histogram == {
        ("patter_reply_seconds_bucket", "0.5"): 1,
        ("patter_reply_seconds_bucket", "1.0"): 2,
        ("patter_reply_seconds_bucket", "+Inf"): 3,
        ("patter_reply_seconds_sum", None): 5,
        ("patter_reply_seconds_count", None): 3,
    }
