"""Whole calls arrive at a collector that speaks OTLP/HTTP on a real port, also one that is busy, refuses or is away."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core import Patter
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.errors import ConfigurationError, PatterError, SinkUnavailable
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record, TranscriptInput
from patter_core.observe.trace import TraceContext
from patter_core.server.delivery import Delivery
from patter_core.server.serving import bind, serve_app
from patter_core.sink import SinkFigures
from patter_core.telephony.leg import Leg
from patter_otel import OpenTelemetrySink

pytestmark = pytest.mark.anyio

STORY: list[CallEvent] = [
    CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="concierge"),
    TranscriptInput(text="Hi."),
    CallEnded(reason="caller_hung_up", by="caller", duration_ms=2000, metrics=CallMetrics(duration_ms=2000, turns=1)),
]


def records(call_id: str = "a" * 32) -> list[Record]:
    trace = TraceContext.of_call(call_id).traceparent
    return [
        Record(call_id=call_id, sequence=number, time=1e9 + number, elapsed_ms=0, event=event, trace=trace)
        for number, event in enumerate(STORY)
    ]


class Collector:
    """An OTLP/HTTP endpoint, as the protocol's specification describes a server."""

    def __init__(self) -> None:
        self.spans: list[WireSpan] = []
        self.metrics: dict[str, list[float]] = {}
        self.exports: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        """Answers to come instead of success."""
        self.rejects = 0
        self.changed = anyio.Event()
        self.port = 0

    @contextlib.asynccontextmanager
    async def collecting(self) -> AsyncIterator[str]:
        listener = bind("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        routes = [
            Route("/v1/traces", self._traces, methods=["POST"]),
            Route("/v1/metrics", self._metrics, methods=["POST"]),
        ]
        async with serve_app(Starlette(routes=routes), listener) as url:
            yield url

    async def _traces(self, request: Request) -> Response:
        body = await self._body(request)
        if self.statuses:
            return Response(status_code=self.statuses.pop(0))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
            for scope in resource.scope_spans:
                self.spans += scope.spans
        answer = ExportTraceServiceResponse()
        if self.rejects:
            answer.partial_success.CopyFrom(
                ExportTracePartialSuccess(rejected_spans=self.rejects, error_message="too many")
            )
        return self._ok(answer.SerializeToString())

    async def _metrics(self, request: Request) -> Response:
        body = await self._body(request)
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    numbers = [*metric.sum.data_points, *metric.gauge.data_points]
                    self.metrics[metric.name] = [point.as_double for point in numbers] or [
                        float(point.count) for point in metric.histogram.data_points
                    ]
        return self._ok(ExportMetricsServiceResponse().SerializeToString())

    async def _body(self, request: Request) -> bytes:
        assert request.headers["content-type"] == "application/x-protobuf"
        self.exports.append(request.url.path)
        self.headers.append(dict(request.headers))
        return await request.body()

    def _ok(self, body: bytes) -> Response:
        self.changed.set()
        self.changed = anyio.Event()
        return Response(body, media_type="application/x-protobuf")


async def test_a_call_through_the_whole_system_is_a_trace_and_counts() -> None:
    import httpx  # noqa: PLC0415 - only here
    from websockets.asyncio.client import connect  # noqa: PLC0415 - only here

    from patter_core.testing.fakes import FakeCarrier, FakeEngine  # noqa: PLC0415 - only here

    collector, engine = Collector(), FakeEngine()
    with anyio.fail_after(30):
        async with collector.collecting() as endpoint:
            phone = Patter(carrier=FakeCarrier(), sinks=[OpenTelemetrySink(endpoint)])
            async with serve_app(phone.asgi(phone.agent(engine=engine, name="concierge"))) as url:
                async with httpx.AsyncClient() as client:
                    voice = await client.post(f"{url}/webhooks/fake/voice", content="leg-1", headers={"x-fake": "yes"})
                async with connect(voice.text, additional_headers={"x-fake": "yes"}) as media:
                    await media.send('{"event": "start", "value": "leg-1"}')
                    session = await engine.session()
                    session.say(TranscriptInput(text="Hi."))
                    session.say(AudioChunk(b"\xff" * 160, ULAW_8000))
                    await media.recv()
                    await media.send('{"event": "stop"}')
            # the server has drained its sinks
    call = next(span for span in collector.spans if span.name == "call inbound")
    turn = next(span for span in collector.spans if span.name == "invoke_agent concierge")
    assert turn.trace_id == call.trace_id
    assert turn.parent_span_id == call.span_id
    assert call.start_time_unix_nano <= turn.start_time_unix_nano <= turn.end_time_unix_nano <= call.end_time_unix_nano
    assert collector.metrics["patter.calls"] == [1]
    assert collector.metrics["patter.calls.active"] == [0]
    assert collector.metrics["patter.reply"] == [1]
    assert collector.metrics["patter.sink.waiting"] == [0]


async def test_figures_come_at_intervals_with_how_the_sinks_do() -> None:
    collector = Collector()
    with anyio.fail_after(20):
        async with collector.collecting() as endpoint, anyio.create_task_group() as tasks:
            sink = OpenTelemetrySink(endpoint, interval=0.02)
            tasks.start_soon(sink.run, lambda: [SinkFigures(sink="redis", dropped=7)])
            await sink.write(records()[:2])
            while 7 not in collector.metrics.get("patter.sink.records", []):
                await collector.changed.wait()
            assert collector.metrics["patter.calls.active"] == [1]
            tasks.cancel_scope.cancel()
        await sink.aclose()


async def test_a_collector_that_is_busy_or_away_gets_each_span_once_it_is_back() -> None:
    collector = Collector()
    with anyio.fail_after(20):
        async with collector.collecting() as endpoint:
            pass  # so there is a port, and nobody at it
        host = Delivery([OpenTelemetrySink(endpoint)])
        (queue,) = host.queues
        queue._pauses = (0.01, 0.05)
        for record in records():
            host.put(record)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.run)
            while not queue.open:  # noqa: ASYNC110 - the breaker tells nobody
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
        collector.statuses = [503, 429]
        async with collector.collecting():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(host.run)
                while queue.waiting:  # noqa: ASYNC110 - the queue tells nobody
                    await anyio.sleep(0.005)
                tasks.cancel_scope.cancel()
            await host.drain()
    assert sorted(span.name for span in collector.spans) == ["call inbound", "invoke_agent concierge"]
    assert collector.metrics["patter.calls"] == [1]
    assert queue.dropped == 0


async def test_a_batch_that_comes_again_counts_once() -> None:
    collector = Collector()
    with anyio.fail_after(20):
        async with collector.collecting() as endpoint:
            sink = OpenTelemetrySink(endpoint)
            batch = records()
            collector.statuses = [503]
            with pytest.raises(SinkUnavailable):
                await sink.write(batch)
            await sink.write(batch)
            await sink.write([batch[-1]])  # a refused end comes again by itself
            await sink.aclose()
    assert len(collector.spans) == 2
    assert collector.metrics["patter.calls"] == [1]


async def test_what_a_collector_will_never_take_is_no_reason_to_try_again(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector()
    with anyio.fail_after(20):
        async with collector.collecting() as endpoint:
            sink = OpenTelemetrySink(endpoint)
            collector.statuses = [401]
            with pytest.raises(PatterError, match="401") as caught:
                await sink.write(records())
            assert not isinstance(caught.value, SinkUnavailable)
            collector.rejects = 2
            await sink.write(records("b" * 32))
            await sink.aclose()
    assert "2 rejected: too many" in caplog.text


async def test_the_environment_is_that_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    with anyio.fail_after(20):
        async with collector.collecting() as endpoint:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{endpoint}/")
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=a%20key, x=1")
            sink = OpenTelemetrySink()
            assert repr(sink) == "<OpenTelemetrySink to 127.0.0.1>"
            await sink.write(records())
            await sink.aclose()
    assert collector.exports == ["/v1/traces", "/v1/metrics"]
    assert (collector.headers[0]["api-key"], collector.headers[0]["x"]) == ("a key", "1")


@pytest.mark.parametrize(("endpoint", "interval"), [("localhost:4318", 1), ("http://", 1), ("http://localhost", 0)])
def test_what_cannot_be_right_is_refused(endpoint: str, interval: float) -> None:
    with pytest.raises(ConfigurationError):
        OpenTelemetrySink(endpoint, interval=interval)
