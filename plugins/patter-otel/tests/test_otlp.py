"""What is encoded is read back by the protocol's own messages."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from patter_core.observe.trace import TraceContext
from patter_otel.instruments import Family, FamilyKind
from patter_otel.otlp import encode_metrics, encode_spans
from patter_otel.spans import Kind, Span, SpanEvent


def test_a_span_survives() -> None:
    span = Span(
        name="call inbound",
        context=TraceContext("a" * 32, "b" * 16),
        parent_id="c" * 16,
        start=1.5,
        end=2.25,
        kind=Kind.SERVER,
        error="crashed",
        attributes={"text": "é", "flag": True, "count": 3, "ratio": 0.5},
        events=[SpanEvent("patter.interruption", 2.0, {"n": 1})],
    )
    request = ExportTraceServiceRequest.FromString(encode_spans([span], {"service.name": "patter"}))
    resource = request.resource_spans[0]
    assert resource.resource.attributes[0].value.string_value == "patter"
    (wire,) = resource.scope_spans[0].spans
    assert (wire.trace_id.hex(), wire.span_id.hex(), wire.parent_span_id.hex()) == ("a" * 32, "b" * 16, "c" * 16)
    assert (wire.start_time_unix_nano, wire.end_time_unix_nano) == (1_500_000_000, 2_250_000_000)
    assert (wire.name, wire.kind) == ("call inbound", WireSpan.SPAN_KIND_SERVER)
    assert (wire.status.code, wire.status.message) == (Status.STATUS_CODE_ERROR, "crashed")
    values = {attribute.key: attribute.value for attribute in wire.attributes}
    assert values["text"].string_value == "é"
    assert values["flag"].WhichOneof("value") == "bool_value"
    assert values["count"].int_value == 3
    assert values["ratio"].double_value == 0.5
    assert (wire.events[0].name, wire.events[0].time_unix_nano) == ("patter.interruption", 2_000_000_000)


def test_figures_are_cumulative_and_survive() -> None:
    calls = Family("patter.calls", FamilyKind.COUNTER, "{call}", "Calls")
    calls.add((("carrier", "fake"),), 2)
    active = Family("patter.calls.active", FamilyKind.GAUGE, "{call}", "Active")
    active.add((), 1)
    reply = Family("patter.reply", FamilyKind.HISTOGRAM, "s", "Replies", (0.5, 1.0))
    reply.observe((), 0.75)
    request = ExportMetricsServiceRequest.FromString(encode_metrics([calls, active, reply], {}, start=1, now=2))
    counter, gauge, histogram = request.resource_metrics[0].scope_metrics[0].metrics
    assert counter.sum.is_monotonic
    assert counter.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    point = counter.sum.data_points[0]
    assert (point.as_double, point.start_time_unix_nano, point.time_unix_nano) == (2, 1_000_000_000, 2_000_000_000)
    assert point.attributes[0].key == "carrier"
    assert gauge.gauge.data_points[0].as_double == 1
    bucketed = histogram.histogram.data_points[0]
    assert (bucketed.count, bucketed.sum, list(bucketed.bucket_counts)) == (1, 0.75, [0, 1, 0])
    assert list(bucketed.explicit_bounds) == [0.5, 1.0]
