"""Whole calls arrive at a collector on a real port, also one that is away or hangs, and no call waits for it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Protocol

import anyio
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from patter_core import Patter
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.checks import Level
from patter_core.errors import ConfigurationError
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record, TranscriptInput
from patter_core.observe.trace import TraceContext
from patter_core.server.delivery import Delivery
from patter_core.server.serving import serve_app
from patter_core.server.sink_queue import SinkQueue
from patter_core.sink import SinkFigures, WorkerFigures
from patter_core.telephony.leg import Leg
from patter_otel import OpenTelemetrySink

pytestmark = pytest.mark.anyio


class Collector(Protocol):
    url: str
    spans: list[WireSpan]
    requests: list[tuple[str, dict[str, str]]]
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]]
    always: dict[str, int]
    silence: threading.Event

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def values(self, name: str, **attributes: str) -> list[float]: ...


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


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_call_through_the_whole_system_is_a_trace_and_counts(collector: Collector) -> None:
    import httpx  # noqa: PLC0415 - only here
    from websockets.asyncio.client import connect  # noqa: PLC0415 - only here

    from patter_core.testing.fakes import FakeCarrier, FakeEngine  # noqa: PLC0415 - only here

    engine = FakeEngine()
    with anyio.fail_after(30):
        phone = Patter(carrier=FakeCarrier(), sinks=[OpenTelemetrySink(collector.url)])
        async with serve_app(phone.asgi(phone.agent(engine=engine, name="concierge"))) as url:
            async with httpx.AsyncClient() as client:
                voice = await client.post(f"{url}/webhooks/fake/voice", content="leg-1", headers={"x-fake": "yes"})
            async with connect(voice.text, additional_headers={"x-fake": "yes"}) as media:
                await media.send('{"event": "start", "value": "leg-1"}')
                session = await engine.session()
                session.give(TranscriptInput(text="Hi."))
                session.give(AudioChunk(b"\xff" * 160, ULAW_8000))
                await media.recv()
                await media.send('{"event": "stop"}')
        # the server has drained its sinks
    call = next(span for span in collector.spans if span.name == "call inbound")
    turn = next(span for span in collector.spans if span.name == "invoke_agent concierge")
    assert turn.trace_id == call.trace_id
    assert turn.parent_span_id == call.span_id
    assert call.start_time_unix_nano <= turn.start_time_unix_nano <= turn.end_time_unix_nano <= call.end_time_unix_nano
    assert collector.values("patter.calls") == [1]
    assert collector.values("patter.calls.active") == [0]
    assert collector.values("patter.reply") == [1]
    assert collector.values("patter.sink.waiting") == [0]


async def test_metrics_come_at_intervals_with_how_the_sinks_do(collector: Collector) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            sink = OpenTelemetrySink(collector.url, interval=0.02)
            tasks.start_soon(sink.run, lambda: WorkerFigures(sinks=(SinkFigures(sink="redis", dropped=7),)))
            await sink.write(records()[:2])
            while collector.values("patter.calls.active") != [1]:  # noqa: ASYNC110 - the collector tells nobody
                await anyio.sleep(0.01)
            assert collector.values("patter.sink.records", sink="redis", fate="dropped") == [7]
            tasks.cancel_scope.cancel()
        await sink.aclose()


async def test_a_collector_that_was_away_or_busy_gets_each_span_once_and_that_is_told_once(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.stop()
    collector.answers["traces"] = [(503, {}, b""), (429, {}, b"")]
    queue = SinkQueue(OpenTelemetrySink(collector.url), first_pause=0.01, longest_pause=0.05)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for record in records():
                queue.put(record)
            tasks.start_soon(queue.run)
            while queue.failures < 8:  # noqa: ASYNC110 - the queue tells nobody
                await anyio.sleep(0.005)
            collector.start()
            while queue.waiting:  # noqa: ASYNC110 - the queue tells nobody
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
        await queue.close()
    assert sorted(span.name for span in collector.spans) == ["call inbound", "invoke_agent concierge"]
    assert collector.values("patter.calls") == [1]
    assert (queue.written, queue.dropped) == (3, 0)
    first, fifth, again = warnings(caplog)
    assert "cannot be reached. Got ConnectionError." in first
    assert "5 times in a row" in fifth
    assert again == "Sink otel works again."


async def test_while_a_collector_is_away_memory_is_bounded_and_what_goes_is_counted(collector: Collector) -> None:
    collector.stop()
    queue = SinkQueue(OpenTelemetrySink(collector.url), limit=50, first_pause=0.01, longest_pause=0.05)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            for number in range(200):
                announced, said, _ = records(f"{number:032x}")
                for record in (announced, said, said):
                    queue.put(record)
            while not queue.failures:  # noqa: ASYNC110 - the queue tells nobody
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
        await queue.close()
    assert queue.waiting <= 50 + queue.sink.batch_size
    assert queue.waiting + queue.dropped == 600


async def test_a_collector_that_hangs_holds_up_neither_the_loop_nor_the_end(collector: Collector) -> None:
    collector.answers["traces"] = [(0, {}, b"")] * 9
    collector.answers["metrics"] = [(0, {}, b"")] * 9
    host = Delivery([OpenTelemetrySink(collector.url)])
    (queue,) = host.queues
    longest = 0.0
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.run)
            for record in records():
                host.put(record)
            while not collector.requests:
                before = anyio.current_time()
                await anyio.sleep(0.005)
                longest = max(longest, anyio.current_time() - before)
            tasks.cancel_scope.cancel()
        began = anyio.current_time()
        await host.drain(within=0.2)
        assert anyio.current_time() - began < 5
    assert queue.dropped == 3
    assert longest < 1
    collector.silence.set()  # or its thread would wait


async def test_the_sdk_and_certificates_are_loaded_in_a_thread(collector: Collector) -> None:
    """What a first export loads takes longer than any call in progress should wait."""
    secure = collector.url.replace("http:", "https:")  # there is no TLS, but certificates are loaded before that shows
    program = f"""
import asyncio, ssl, sys, threading

from patter_core.sink import WorkerFigures
from patter_otel import OpenTelemetrySink, PrometheusSink

heavy, loaded = ("opentelemetry", "requests", "prometheus_client", "google.protobuf"), set()

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(heavy):
            loaded.add((name.split(".")[0], threading.current_thread() is threading.main_thread()))

load = ssl.SSLContext.load_verify_locations

def watched(self, *args, **kwargs):
    loaded.add(("certificates", threading.current_thread() is threading.main_thread()))
    return load(self, *args, **kwargs)

ssl.SSLContext.load_verify_locations = watched
sys.meta_path.insert(0, Watch())

async def main():
    for sink in (OpenTelemetrySink({secure!r}), PrometheusSink(port=0)):
        running = asyncio.create_task(sink.run(WorkerFigures))
        await asyncio.wait([running], timeout=1)
        running.cancel()
        await sink.check()
        await sink.aclose()

asyncio.run(main())
print(sorted(loaded))
"""
    done = await anyio.run_process([sys.executable, "-c", program], check=True)
    names = ("certificates", "google", "opentelemetry", "prometheus_client", "requests")
    assert done.stdout.decode().strip() == str([(name, False) for name in names])  # none in the main thread


def test_a_plugin_that_is_joined_loads_none_of_it() -> None:
    program = (
        "import patter_otel.plugin, sys; print({'opentelemetry', 'requests', 'prometheus_client'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


async def test_it_works_again_after_it_was_closed(collector: Collector) -> None:
    sink = OpenTelemetrySink(collector.url)
    for call_id in ("a" * 32, "b" * 32):
        await sink.write(records(call_id))
        await sink.aclose()
    assert len(collector.spans) == 4


async def test_doctor_is_told_whether_the_collector_takes_us(collector: Collector) -> None:
    sink = OpenTelemetrySink(collector.url)
    assert [result.level for result in await sink.check()] == [Level.OK, Level.OK]
    collector.always = {"traces": 401, "metrics": 404}
    assert [result.level for result in await sink.check()] == [Level.PROBLEM, Level.WARNING]
    collector.stop()
    assert "cannot be reached" in (await sink.check())[0].what
    await sink.aclose()


async def test_the_interval_is_that_of_the_environment(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    sink = OpenTelemetrySink(collector.url)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.run, lambda: WorkerFigures(sinks=(SinkFigures(sink="redis"),)))
            while len(collector.requests) < 3:  # noqa: ASYNC110 - the collector tells nobody
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert {path for path, _ in collector.requests} == {"/v1/metrics"}
        await sink.aclose()


@pytest.mark.parametrize("endpoint", ["localhost:4318", "http://", "grpc://localhost:4317"])
def test_an_endpoint_that_is_no_http_url_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="`endpoint` is not an HTTP URL"):
        OpenTelemetrySink(endpoint)


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_that_is_not_above_0_is_refused(interval: float) -> None:
    with pytest.raises(ConfigurationError, match="not above 0"):
        OpenTelemetrySink(interval=interval)
