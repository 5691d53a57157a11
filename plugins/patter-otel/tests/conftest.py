"""A collector that speaks OTLP/HTTP on a real port, as the protocol's specification describes a server."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """Takes what comes to `/v1/traces` and `/v1/metrics`, unless it is told to answer otherwise."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: dict[str, Metric] = {}
        """The latest of each name."""
        self.resource: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each, in order."""
        self.answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = {"traces": [], "metrics": []}
        """Of a signal, the next answers instead of success: status, headers, body. A status of 0 never answers."""
        self.always: dict[str, int] = {}
        """The status for every request of a signal."""
        self.silence = threading.Event()
        """Set, answers of status 0 end."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, more, answer = collector.take(self.path, headers, body)
                if not status:
                    collector.silence.wait(30)
                    return
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.silence.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.requests.append((path, headers))
        signal = path.rpartition("/")[2]
        if signal in self.always:
            return self.always[signal], {}, b""
        answer = self.answers[signal].pop(0) if self.answers[signal] else (200, {}, b"")
        if answer[0] != 200:
            return answer
        assert headers["content-type"] == "application/x-protobuf"
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if signal == "traces":
            for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                self._look_at(of.resource)
                self.spans += [span for scope in of.scope_spans for span in scope.spans]
        else:
            for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self._look_at(each.resource)
                self.metrics |= {metric.name: metric for scope in each.scope_metrics for metric in scope.metrics}
        return answer

    def _look_at(self, resource: Resource) -> None:
        self.resource = {attribute.key: attribute.value.string_value for attribute in resource.attributes}

    def partly(self, signal: str, answer: Message) -> None:
        """Answer the next request of that signal with success, and this."""
        self.answers[signal].append((200, {}, answer.SerializeToString()))

    def values(self, name: str, **attributes: str) -> list[float]:
        """The metric's values, of those series that have these attributes; of a histogram, the counts."""
        metric = self.metrics.get(name, Metric())
        numbers = [(point.attributes, point.as_double or point.as_int) for point in _numbers(metric)]
        counts = [(point.attributes, point.count) for point in metric.histogram.data_points]
        return [
            float(value)
            for found, value in [*numbers, *counts]
            if attributes.items() <= {each.key: each.value.string_value for each in found}.items()
        ]


def _numbers(metric: Metric) -> list[NumberDataPoint]:
    return [*metric.sum.data_points, *metric.gauge.data_points]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a setting or an account in the environment that it did not put there."""
    for variable in list(os.environ):
        if variable.startswith(("PATTER_", "OTEL_")):
            monkeypatch.delenv(variable)


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    running.start()
    yield running
    running.stop()
