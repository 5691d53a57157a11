"""A collector that took only a part says so, and that is read."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from patter_otel.answers import rejected


def test_what_was_rejected_is_told_with_the_reason() -> None:
    spans = ExportTracePartialSuccess(rejected_spans=2, error_message="too long")
    assert rejected("traces", ExportTraceServiceResponse(partial_success=spans).SerializeToString()) == (
        "2 rejected: too long"
    )
    points = ExportMetricsPartialSuccess(rejected_data_points=1)
    assert rejected("metrics", ExportMetricsServiceResponse(partial_success=points).SerializeToString()) == (
        "1 rejected: "
    )


@pytest.mark.parametrize("answer", [b"", b"{}", b"\xff" * 9])
def test_an_answer_that_says_nothing_is_none(answer: bytes) -> None:
    assert rejected("traces", answer) == ""
