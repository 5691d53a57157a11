"""What a collector answers to the SDK's exporters over HTTP. Blocking: for a thread.

The exporters say only that they failed, log it each time, and try again by themselves meanwhile. Here each request is
made once and becomes an error of ours: the sink's queue tries again, counts and tells.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import requests
from google.protobuf.message import DecodeError
from opentelemetry import context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from patter_core.errors import NetworkMisconfigured, PatterError, SinkRefused, SinkUnavailable
from patter_core.net.peer_name import peer_name
from patter_core.net.proxies import proxy_for
from patter_core.net.unreached import unreached

__all__ = ["LEFT_ALONE", "Answers", "SpanExport"]

_log = logging.getLogger("patter.otel")

_RETRYABLE = {429, 502, 503, 504}
"""The statuses that OTLP names for another try; any other error means that these data will never be taken."""
_LONGEST_PAUSE = 600.0
"""Seconds that a Retry-After is followed for."""
LEFT_ALONE = 3600.0
"""Seconds until metrics are sent again after they were refused, as by a back end for traces only."""
_ANSWERS = context.create_key("patter-answers")


class _Settled(requests.RequestException):
    """The request is over; after an error of this kind, an exporter does not try again."""


class Answers(requests.Session):
    """The session of an exporter of `traces` or `metrics`, which keeps what became of the last request."""

    def __init__(self, signal: str, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.signal = signal
        self._own_headers = headers
        self.error: PatterError | None = None
        self.rejected = 0
        """Spans or data points that the collector rejected out of what it took."""
        self._partial = ""
        self._told = False
        self._not_before = 0.0
        self._refused_at = -math.inf

    def during(self, export: Callable[[], object]) -> None:
        """Lets the exporter work. Raises SinkUnavailable for "not now", and SinkRefused for "never"."""
        self.error, self._partial, self._refused_at = None, "", -math.inf
        values = context.set_value("suppress_instrumentation", True, context.set_value(_ANSWERS, self))
        token = context.attach(values)
        try:
            result = export()
        finally:
            context.detach(token)
        if result in {SpanExportResult.FAILURE, MetricExportResult.FAILURE} and self.error is None:
            self.error = SinkRefused(f"The exporter does not export {self.signal}.", remedy="Its log says why.")
        if self.error is not None:
            raise self.error
        self._tell(self._partial)

    def attempt(self, export: Callable[[], object]) -> None:
        """The same, but an error is only told; and what was refused is left alone for an hour."""
        if time.monotonic() < self._refused_at + LEFT_ALONE:
            return
        try:
            self.during(export)
        except PatterError as error:
            self._tell(str(error))

    def _tell(self, problem: str) -> None:
        if problem and not self._told:
            _log.warning("Not all %s are taken: %s This is told once.", self.signal, problem)
        elif self._told and not problem:
            _log.warning("All %s are taken again.", self.signal)
        self._told = bool(problem)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        pause = self._not_before - time.monotonic()
        if pause > 0:
            self._fail(SinkUnavailable("The collector asked for a pause.", got=f"{pause:.0f} s of it to come"))
        request.headers.update(self._own_headers)
        kwargs["allow_redirects"] = False
        kwargs["proxies"] = self._proxies(str(request.url))
        try:
            response = super().send(request, **kwargs)
        except OSError as error:
            peer = peer_name("The collector", str(request.url))
            told = unreached(error, peer, setting="endpoint or OTEL_EXPORTER_OTLP_ENDPOINT", is_own=True)
            self._fail(SinkUnavailable(told.problem, got=told.got, remedy=told.remedy))
        if response.status_code in _RETRYABLE:
            after = response.headers.get("retry-after", "")
            self._not_before = time.monotonic() + min(int(after) if after.isdecimal() else 0, _LONGEST_PAUSE)
            self._fail(SinkUnavailable("The collector is busy.", got=str(response.status_code)))
        if response.status_code // 100 != 2:
            status, remedy = str(response.status_code), "Look at the endpoint and its headers."
            self._refused_at = time.monotonic()
            self._fail(SinkRefused(f"The collector refuses {self.signal}.", got=status, remedy=remedy))
        try:  # the answer for metrics has the same fields
            partial = ExportTraceServiceResponse.FromString(response.content).partial_success
        except DecodeError:
            return response
        self.rejected += partial.rejected_spans
        if partial.rejected_spans or partial.error_message:
            self._partial = f"{partial.rejected_spans} rejected: {partial.error_message[:200]!r}."
        return response

    def _proxies(self, url: str) -> Mapping[str, str]:
        try:
            proxy = proxy_for(url, socks_package="socks")
        except NetworkMisconfigured as error:
            self._fail(SinkUnavailable(error.problem, expected=error.expected, got=error.got, remedy=error.remedy))
        return dict.fromkeys(("http", "https"), proxy.url) if proxy else {}

    def _fail(self, error: PatterError) -> NoReturn:
        self.error = error
        raise _Settled from error


class SpanExport(SpanProcessor):
    """Keeps ended spans until their exporter has taken them."""

    def __init__(self, exporter: SpanExporter, answers: Answers) -> None:
        self._exporter = exporter
        self._answers = answers
        self._waiting: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self._waiting.append(span)

    def flush(self) -> None:
        """Exports what waits. Raises as `Answers.during`; what is not taken now is kept."""
        if self._waiting:
            try:
                self._answers.during(lambda: self._exporter.export(self._waiting))
            finally:
                if not isinstance(self._answers.error, SinkUnavailable):
                    self._waiting = []


def _is_news(_: logging.LogRecord) -> bool:
    return not getattr(context.get_value(_ANSWERS), "error", None)


for _name in ("trace_exporter", "metric_exporter"):
    logging.getLogger(f"opentelemetry.exporter.otlp.proto.http.{_name}").addFilter(_is_news)
