"""What a collector's answer says: it may have taken only a part. Sans-IO."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

__all__ = ["rejected"]


def rejected(signal: str, answer: bytes) -> str:
    """How much of the `traces` or `metrics` was not taken, and why; "" if all was, or if the answer says nothing."""
    try:
        if signal == "traces":
            spans = ExportTraceServiceResponse.FromString(answer).partial_success
            count, message = spans.rejected_spans, spans.error_message
        else:
            points = ExportMetricsServiceResponse.FromString(answer).partial_success
            count, message = points.rejected_data_points, points.error_message
    except DecodeError:
        return ""
    return f"{count} rejected: {message}" if count or message else ""
