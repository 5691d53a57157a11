"""Spans and figures as OTLP messages: protobuf, as opentelemetry-proto 1.x defines it. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as m
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as t

from patter_otel.instruments import Family, FamilyKind, Labels, Point
from patter_otel.spans import Kind, Span, Value

__all__ = ["encode_metrics", "encode_spans"]

_SCOPE = InstrumentationScope(name="patter")
_KINDS = {
    Kind.INTERNAL: t.Span.SPAN_KIND_INTERNAL,
    Kind.SERVER: t.Span.SPAN_KIND_SERVER,
    Kind.CLIENT: t.Span.SPAN_KIND_CLIENT,
}


def encode_spans(spans: Iterable[Span], resource: Mapping[str, Value]) -> bytes:
    """An `ExportTraceServiceRequest`."""
    scope = t.ScopeSpans(scope=_SCOPE, spans=[_span(span) for span in spans])
    request = ExportTraceServiceRequest(
        resource_spans=[t.ResourceSpans(resource=_resource(resource), scope_spans=[scope])]
    )
    return request.SerializeToString()


def encode_metrics(families: Iterable[Family], resource: Mapping[str, Value], *, start: float, now: float) -> bytes:
    """An `ExportMetricsServiceRequest` with cumulative sums since `start` (Unix s)."""
    span = (_nanos(start), _nanos(now))
    scope = m.ScopeMetrics(scope=_SCOPE, metrics=[_metric(family, span) for family in families])
    request = ExportMetricsServiceRequest(
        resource_metrics=[m.ResourceMetrics(resource=_resource(resource), scope_metrics=[scope])]
    )
    return request.SerializeToString()


def _span(span: Span) -> t.Span:
    status = t.Status(code=t.Status.STATUS_CODE_ERROR, message=span.error) if span.error else t.Status()
    return t.Span(
        trace_id=bytes.fromhex(span.context.trace_id),
        span_id=bytes.fromhex(span.context.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        flags=0x01,  # sampled
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=_nanos(span.start),
        end_time_unix_nano=_nanos(span.end),
        attributes=_attributes(span.attributes),
        events=[
            t.Span.Event(name=event.name, time_unix_nano=_nanos(event.time), attributes=_attributes(event.attributes))
            for event in span.events
        ],
        status=status,
    )


def _metric(family: Family, span: tuple[int, int]) -> m.Metric:
    metric = m.Metric(name=family.name, description=family.description, unit=family.unit)
    cumulative = m.AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    match family.kind:
        case FamilyKind.GAUGE:
            metric.gauge.data_points.extend(_number(*item, span) for item in family.points.items())
        case FamilyKind.COUNTER:
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = cumulative
            metric.sum.data_points.extend(_number(*item, span) for item in family.points.items())
        case FamilyKind.HISTOGRAM:
            metric.histogram.aggregation_temporality = cumulative
            metric.histogram.data_points.extend(_histogram(family, *item, span) for item in family.points.items())
    return metric


def _number(labels: Labels, point: Point, span: tuple[int, int]) -> m.NumberDataPoint:
    return m.NumberDataPoint(
        attributes=_attributes(dict(labels)),
        start_time_unix_nano=span[0],
        time_unix_nano=span[1],
        as_double=point.value,
    )


def _histogram(family: Family, labels: Labels, point: Point, span: tuple[int, int]) -> m.HistogramDataPoint:
    return m.HistogramDataPoint(
        attributes=_attributes(dict(labels)),
        start_time_unix_nano=span[0],
        time_unix_nano=span[1],
        count=sum(point.counts),
        sum=point.value,
        bucket_counts=point.counts,
        explicit_bounds=family.bounds,
    )


def _resource(attributes: Mapping[str, Value]) -> Resource:
    return Resource(attributes=_attributes(attributes))


def _attributes(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)


def _nanos(seconds: float) -> int:
    return round(seconds * 1e9)
