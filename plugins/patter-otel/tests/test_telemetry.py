"""The user's providers and the specification's variables are obeyed, and what a collector answers is understood."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Protocol

import pytest
from google.protobuf.message import Message
from opentelemetry import metrics, trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from patter_core.checks import Level
from patter_core.errors import SinkRefused, SinkUnavailable
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record, TranscriptInput
from patter_core.observe.trace import TraceContext
from patter_core.sink import SinkFigures, WorkerFigures
from patter_core.telephony.leg import Leg
from patter_otel import otlp
from patter_otel.instruments import BOUNDS
from patter_otel.telemetry import Telemetry


class Collector(Protocol):
    url: str
    spans: list[WireSpan]
    metrics: dict[str, Metric]
    resource: dict[str, str]
    requests: list[tuple[str, dict[str, str]]]
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]]
    always: dict[str, int]

    def stop(self) -> None: ...

    def partly(self, signal: str, answer: Message) -> None: ...

    def values(self, name: str, **attributes: str) -> list[float]: ...


STORY: list[CallEvent] = [
    CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="concierge"),
    TranscriptInput(text="Hi."),
    CallEnded(reason="crashed", by="host", duration_ms=2000, metrics=CallMetrics(duration_ms=2000, reply_ms=(250,))),
]


def story(call_id: str = "a" * 32) -> list[Record]:
    context = TraceContext.of_call(call_id).traceparent
    return [
        Record(call_id=call_id, sequence=number, time=1e9 + number, elapsed_ms=0, event=event, trace=context)
        for number, event in enumerate(STORY)
    ]


def telemetry(endpoint: str = "", headers: Mapping[str, str] | None = None, service: str = "") -> Telemetry:
    return Telemetry(endpoint, headers or {}, service, content=False)


def paths(collector: Collector) -> list[str]:
    return [path for path, _ in collector.requests]


ONE_CALL = """
from patter_core.events import CallAnnounced, CallEnded, CallMetrics, Record
from patter_core.telephony.leg import Leg
from patter_otel.telemetry import Telemetry

events = [
    CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="concierge"),
    CallEnded(reason="crashed", by="host", duration_ms=2000, metrics=CallMetrics()),
]
records = [Record(call_id="c", sequence=n, time=1.0, elapsed_ms=0, event=event) for n, event in enumerate(events)]
"""


def run(program: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    return done.stdout


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_spans_arrive_with_ids_times_kinds_and_statuses(collector: Collector) -> None:
    records = story()
    telemetry(collector.url).write(records)
    turn, call = collector.spans
    context = TraceContext.parse(records[0].trace)
    assert context is not None
    assert (call.trace_id.hex(), call.span_id.hex(), call.parent_span_id) == (context.trace_id, context.span_id, b"")
    assert (turn.trace_id, turn.parent_span_id) == (call.trace_id, call.span_id)
    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (10**18, 10**18 + 2 * 10**9)
    assert (call.name, call.kind, call.status.message) == ("call inbound", WireSpan.SPAN_KIND_SERVER, "crashed")


def test_metrics_arrive_cumulative_with_our_buckets(collector: Collector) -> None:
    sent = telemetry(collector.url)
    for call_id in ("a" * 32, "b" * 32):
        sent.write(story(call_id))
        sent.collect(WorkerFigures(sinks=(SinkFigures(sink="redis", written=7, waiting=2),)))
    assert collector.values("patter.calls", reason="crashed", agent="concierge", carrier="fake") == [2]
    assert collector.metrics["patter.calls"].sum.is_monotonic
    temporality = collector.metrics["patter.calls"].sum.aggregation_temporality
    assert temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert collector.values("patter.calls.active") == [0]
    assert list(collector.metrics["patter.reply"].histogram.data_points[0].explicit_bounds) == list(BOUNDS)
    assert collector.values("patter.sink.records", sink="redis", fate="written") == [7]
    assert collector.values("patter.sink.waiting", sink="redis") == [2]


def test_a_process_is_an_instance_of_its_service(collector: Collector) -> None:
    instances = set()
    program = f"{ONE_CALL}\nTelemetry({collector.url!r}, {{}}, '', content=False).write(records)"
    for _ in range(2):
        run(program)
        instances.add(collector.resource["service.instance.id"])
        assert collector.resource["service.name"] == "patter"
        assert collector.resource["telemetry.sdk.language"] == "python"
    assert len(instances) == 2


def test_what_is_closed_sends_no_more(collector: Collector) -> None:
    sent = telemetry(collector.url)
    sent.write(story())
    sent.close(WorkerFigures())
    assert paths(collector) == ["/v1/traces", "/v1/metrics"]
    with pytest.raises(SinkRefused, match="does not export traces"):
        sent.write(story("b" * 32))
    sent.collect(WorkerFigures(sinks=(SinkFigures(sink="redis"),)))
    assert len(collector.requests) == 2


# --- whose providers -------------------------------------------------------------------------------------------------


def test_the_users_providers_are_used_and_left_to_them_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    spans = TracerProvider(resource=Resource({"service.name": "mine"}), shutdown_on_exit=False)
    spans.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: spans)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: meters)
    sent = telemetry()
    sent.write(story())
    sent.close(WorkerFigures())
    assert [span.name for span in exporter.get_finished_spans()] == ["invoke_agent concierge", "call inbound"]
    assert exporter.get_finished_spans()[0].resource.attributes["service.name"] == "mine"
    data = reader.get_metrics_data()
    assert data is not None
    scopes = data.resource_metrics[0].scope_metrics
    assert "patter.calls" in {
        metric.name for scope in scopes if scope.scope.name == "patter" for metric in scope.metrics
    }
    (result,) = sent.probe()
    assert (result.level, "providers" in result.what) == (Level.OK, True)
    sent.write(story("b" * 32))
    assert len(exporter.get_finished_spans()) == 4  # it still works for its owner
    spans.shutdown()


def test_the_users_sampler_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    sent = telemetry()
    sent.write(story())
    sent.close(WorkerFigures())
    assert exporter.get_finished_spans() == ()
    provider.shutdown()


def test_an_endpoint_of_its_own_comes_before_the_users_providers(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: TracerProvider(shutdown_on_exit=False))
    telemetry(collector.url).write(story())
    assert len(collector.spans) == 2


def test_a_provider_that_is_really_set_is_found_and_none_is_set_by_us(collector: Collector) -> None:
    printed = run(f"""{ONE_CALL}
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

Telemetry("{collector.url}", {{}}, "", content=False).write(records)
assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
Telemetry("", {{}}, "", content=False).write(records)
print(len(exporter.get_finished_spans()))
""")
    assert printed == "1\n"
    assert len(collector.spans) == 1


# --- the environment -------------------------------------------------------------------------------------------------


def test_endpoint_headers_and_compression_are_those_of_the_environment(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{collector.url}/")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=a%20key, x=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    sent = telemetry()
    sent.write(story())
    sent.close(WorkerFigures())
    assert paths(collector) == ["/v1/traces", "/v1/metrics"]
    for _, headers in collector.requests:
        assert (headers["api-key"], headers["x"], headers["content-encoding"]) == ("a key", "1", "gzip")
    assert len(collector.spans) == 2


def test_each_signal_may_have_an_endpoint_and_headers_of_its_own(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/api/public/otel/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Basic%20abc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{collector.url}/elsewhere/metrics")
    sent = telemetry()
    sent.write(story())
    sent.close(WorkerFigures())
    assert paths(collector) == ["/api/public/otel/traces", "/elsewhere/metrics"]
    assert collector.requests[0][1]["authorization"] == "Basic abc"
    assert "authorization" not in collector.requests[1][1]


def test_parameters_come_before_the_environment(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=theirs,x-tenant=7")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "theirs")
    telemetry(collector.url, {"X-Key": "mine"}, "mine").write(story())
    headers = collector.requests[0][1]
    assert (headers["x-key"], headers["x-tenant"]) == ("mine", "7")
    assert collector.resource["service.name"] == "mine"


def test_the_resource_is_that_of_the_environment(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,service.instance.id=w-1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "phones")
    sent = telemetry(collector.url)
    sent.write(story())
    sent.close(WorkerFigures())
    for name, value in (
        ("deployment.environment.name", "staging"),
        ("service.name", "phones"),
        ("service.instance.id", "w-1"),
    ):
        assert collector.resource[name] == value


def test_the_sampler_is_that_of_the_environment(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    sent = telemetry(collector.url)
    sent.write(story("f" * 32))
    assert collector.spans == []
    sent.write(story("0" * 31 + "1"))
    assert len(collector.spans) == 2


@pytest.mark.parametrize(
    ("variable", "value", "taken"),
    [
        ("OTEL_TRACES_EXPORTER", "none", ["/v1/metrics"]),
        ("OTEL_METRICS_EXPORTER", "none", ["/v1/traces"]),
        ("OTEL_SDK_DISABLED", "true", []),
    ],
)
def test_what_is_switched_off_is_off(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, taken: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    sent = telemetry(collector.url)
    sent.write(story())
    sent.close(WorkerFigures())
    assert paths(collector) == taken


def test_another_exporter_that_is_installed_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    assert '"name": "call inbound"' in run(f"{ONE_CALL}\nTelemetry('', {{}}, '', content=False).write(records)")


@pytest.mark.parametrize(("result", "level"), [("SUCCESS", Level.OK), ("FAILURE", Level.PROBLEM)])
def test_what_another_exporter_says_of_its_success_is_believed(
    monkeypatch: pytest.MonkeyPatch, result: str, level: Level
) -> None:
    monkeypatch.setattr(ConsoleSpanExporter, "export", lambda *_: SpanExportResult[result])
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    (checked,) = telemetry().probe()
    assert checked.level is level


def test_a_protocol_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, collector: Collector
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "semaphore")
    sent = telemetry()
    sent.write(story())
    sent.close(WorkerFigures())
    assert paths(collector) == ["/v1/metrics"]
    assert "No traces are exported: there is no exporter 'otlp_proto_semaphore'." in caplog.text


# --- what a collector answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_collector_gets_the_same_spans_later_and_once(collector: Collector, status: int) -> None:
    collector.answers["traces"].append((status, {}, b""))
    sent, batch = telemetry(collector.url), story()
    with pytest.raises(SinkUnavailable, match=str(status)):
        sent.write(batch)
    sent.write(batch)
    sent.write([batch[-1]])  # a refused end comes again by itself
    sent.collect(WorkerFigures())
    assert paths(collector) == ["/v1/traces", "/v1/traces", "/v1/metrics"]
    assert len(collector.spans) == 2
    assert collector.values("patter.calls") == [1]


def test_a_collector_that_asks_for_a_pause_gets_it(collector: Collector) -> None:
    collector.answers["traces"].append((429, {"Retry-After": "1"}, b""))
    sent, batch = telemetry(collector.url), story()
    asked = time.monotonic()
    with pytest.raises(SinkUnavailable, match="429"):
        sent.write(batch)
    while True:
        try:
            sent.write(batch)
        except SinkUnavailable as error:
            assert "asked for a pause" in str(error)  # noqa: PT017 - how often depends on the machine
            time.sleep(0.05)
        else:
            break
    assert time.monotonic() - asked >= 1
    assert len(collector.requests) == 2
    assert len(collector.spans) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500])
def test_what_will_never_be_taken_is_dropped(collector: Collector, status: int) -> None:
    collector.answers["traces"].append((status, {"Location": f"{collector.url}/v1/metrics"}, b""))
    sent = telemetry(collector.url)
    with pytest.raises(SinkRefused, match=f"refuses traces. Got {status}"):
        sent.write(story())
    sent.write(story("b" * 32))
    assert [path for path, _ in collector.requests] == ["/v1/traces"] * 2
    assert {span.trace_id.hex() for span in collector.spans} == {"b" * 32}


def test_a_collector_that_is_away_is_not_reached(collector: Collector) -> None:
    collector.stop()
    with pytest.raises(
        SinkUnavailable, match=r"The collector at 127\.0\.0\.1 cannot be reached\. Got ConnectionError\. Check"
    ):
        telemetry(collector.url).write(story())


def test_one_that_never_answers_costs_the_timeout_of_the_environment(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    collector.answers["traces"].append((0, {}, b""))
    began = time.monotonic()
    with pytest.raises(SinkUnavailable, match="Timeout"):
        telemetry(collector.url).write(story())
    assert time.monotonic() - began < 5


def test_loopback_is_reached_without_a_proxy(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://192.0.2.1:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    telemetry(collector.url).write(story())
    assert len(collector.spans) == 2


@pytest.mark.parametrize(("proxy", "says"), [("ftp://proxy", "Correct HTTP_PROXY"), ("socks5://proxy", "PySocks")])
def test_a_proxy_that_cannot_be_used_says_what_to_do(proxy: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)  # where SOCKS packages are installed
    with pytest.raises(SinkUnavailable, match=says):
        telemetry("http://collector.test:4318").write(story())


def test_a_collector_elsewhere_is_reached_through_the_proxy(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", collector.url)  # it takes what a proxy would pass on
    telemetry("http://collector.test:4318").write(story())
    assert len(collector.spans) == 2


def test_a_back_end_for_traces_only_is_told_once_and_left_alone(
    collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.always["metrics"] = 404
    sent = telemetry(collector.url)
    for number in range(5):
        sent.write(story(str(number)))
        sent.collect(WorkerFigures())
    assert len(collector.spans) == 10
    assert paths(collector).count("/v1/metrics") == 1
    (said,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == (
        "Not all metrics are taken: The collector refuses metrics. Got 404. Look at the endpoint and its headers."
        " This is told once."
    )
    del collector.always["metrics"]
    monkeypatch.setattr(otlp, "LEFT_ALONE", 0.0)  # an hour later
    sent.collect(WorkerFigures())
    assert [record.getMessage() for record in caplog.records][-1] == "All metrics are taken again."
    assert collector.values("patter.calls") == [5]  # what was not taken then is in it now


def test_metrics_of_a_collector_that_is_away_are_told_once(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.stop()
    sent = telemetry(collector.url)
    for _ in range(3):
        sent.collect(WorkerFigures(sinks=(SinkFigures(sink="redis"),)))
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING"]


def test_what_is_taken_in_part_is_counted_and_told_once(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    spans = ExportTracePartialSuccess(rejected_spans=2, error_message="too long\x1b")
    points = ExportMetricsPartialSuccess(rejected_data_points=3)
    sent = telemetry(collector.url)
    for number in range(2):
        collector.partly("traces", ExportTraceServiceResponse(partial_success=spans))
        sent.write(story(str(number)))
    collector.partly("metrics", ExportMetricsServiceResponse(partial_success=points))
    sent.collect(WorkerFigures())
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == [
        "Not all traces are taken: 2 rejected: 'too long\\x1b'. This is told once.",
        "Not all metrics are taken: 3 rejected: ''. This is told once.",
    ]
    sent.collect(WorkerFigures())
    assert collector.values("patter.otel.rejected", signal="traces") == [4]
    assert collector.values("patter.otel.rejected", signal="metrics") == [3]


@pytest.mark.parametrize("answer", [b"{}", b"\xff" * 9])
def test_an_answer_that_is_not_otlps_says_nothing(
    collector: Collector, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    collector.answers["traces"].append((200, {}, answer))
    telemetry(collector.url).write(story())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_probe_sends_nothing_and_says_what_is_taken(collector: Collector) -> None:
    collector.always["metrics"] = 404
    traces, metric = telemetry(collector.url).probe()
    assert (traces.level, traces.what) == (Level.OK, "The collector takes traces.")
    assert (metric.level, metric.remedy) == (
        Level.WARNING,
        "If metrics are not wanted there, set OTEL_METRICS_EXPORTER=none.",
    )
    assert (collector.spans, collector.metrics) == ([], {})
    collector.always["traces"] = 401
    refused, _ = telemetry(collector.url).probe()
    assert (refused.level, "401" in refused.what) == (Level.PROBLEM, True)
