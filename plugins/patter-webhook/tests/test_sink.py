"""Every event arrives, signed, at a real server that fails, stalls, goes away and comes back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patter_core.aio import Changes
from patter_core.checks import Level
from patter_core.errors import ConfigurationError, SinkRefused, SinkUnavailable
from patter_core.events import CallEnded, CallMetrics, DtmfReceived, Record, TranscriptInput
from patter_core.server.delivery import Delivery
from patter_core.server.serving import bind, serve_app
from patter_core.sink import WorkerFigures
from patter_webhook import Secret, WebhookSink, verify
from patter_webhook import retry as retry_module
from patter_webhook import sink as sink_module
from patter_webhook.outbox import Outbox
from patter_webhook.sink import Body

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "c2VjcmV0" * 4
TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def records(count: int) -> list[Record]:
    return [
        Record(call_id="call", sequence=number, time=1.5, elapsed_ms=20, event=DtmfReceived(digit="7"), trace=TRACE)
        for number in range(1, count + 1)
    ]


class Receiver:
    """A receiver that checks each message, and answers as a test tells it."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.accepted: list[Body] = []
        self.ids: list[str] = []
        self.connections: set[int] = set()
        """The senders' ports."""
        self.answer: Callable[[int], int] = lambda _attempt: 204
        self.stall: Callable[[int], float] = lambda _attempt: 0.0
        self.headers: dict[str, str] = {}
        self._changes = Changes()

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/events", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        assert request.client is not None
        self.connections.add(request.client.port)
        message_id = verify(Secret(SECRET), request.headers, body, time.time())
        self.attempts.append(message_id)
        attempt = len(self.attempts)
        await anyio.sleep(self.stall(attempt))
        status = self.answer(self.attempts.count(message_id))
        if status < 300:
            self.accepted.append(msgspec.json.decode(body, type=Body))
            self.ids.append(message_id)
        self._changes.notify()
        return Response(status_code=status, headers=self.headers)

    async def wait_for(self, distinct: int) -> None:
        await self._changes.wait_until(lambda: len(set(self.ids)) >= distinct)


class Scene:
    def __init__(self, outbox: Path) -> None:
        self.receiver = Receiver()
        self.port = 0
        self.outbox = outbox

    @contextlib.asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """The receiver is up, at the same port each time."""
        listener = bind("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        async with serve_app(self.receiver.app(), listener):
            yield

    def sink(self) -> WebhookSink:
        url = f"http://127.0.0.1:{self.port}/events"
        return WebhookSink(url, SECRET, outbox=self.outbox, delay_scale=0.002)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "outbox.db")


async def test_each_event_arrives_signed_with_its_id_as_key(scene: Scene) -> None:
    with anyio.fail_after(20):
        async with scene.receiving(), anyio.create_task_group() as tasks:
            sink = scene.sink()
            tasks.start_soon(sink.run, WorkerFigures)
            await sink.write(records(20))
            await scene.receiver.wait_for(20)
            tasks.cancel_scope.cancel()
        await sink.aclose()
    assert sorted(scene.receiver.ids) == sorted(record.id for record in records(20))
    first = next(body for body in scene.receiver.accepted if body.data.sequence == 1)
    assert first == Body("dtmf_received", "1970-01-01T00:00:01.500000Z", records(1)[0])


async def test_events_share_connections(scene: Scene) -> None:
    with anyio.fail_after(20):
        async with scene.receiving():
            sink = scene.sink()
            await sink.write(records(40))
            await sink.aclose()
    assert len(scene.receiver.ids) == 40
    assert len(scene.receiver.connections) <= 8  # as many as are sent at once


async def test_a_receiver_that_fails_gets_every_event_eventually(scene: Scene) -> None:
    scene.receiver.answer = lambda attempt: (500, 301, 204)[attempt - 1]  # for each event
    with anyio.fail_after(20):
        async with scene.receiving(), anyio.create_task_group() as tasks:
            sink = scene.sink()
            tasks.start_soon(sink.run, WorkerFigures)
            await sink.write(records(10))
            await scene.receiver.wait_for(10)
            tasks.cancel_scope.cancel()
        await sink.aclose()
    assert len(scene.receiver.attempts) == 30


async def test_an_attempt_that_stalls_is_abandoned_and_retried(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sink_module, "_ATTEMPT_TIMEOUT", 0.2)
    scene.receiver.stall = lambda attempt: 2.0 if attempt <= 2 else 0.0
    with anyio.fail_after(20):
        async with scene.receiving():
            async with anyio.create_task_group() as tasks:
                sink = scene.sink()
                tasks.start_soon(sink.run, WorkerFigures)
                await sink.write(records(4))
                await scene.receiver.wait_for(4)
                tasks.cancel_scope.cancel()
            await sink.aclose()
    assert "did not answer in 0.2 s" in caplog.text


async def test_a_receiver_that_was_down_gets_everything_even_after_a_restart_of_ours(scene: Scene) -> None:
    with anyio.fail_after(20):
        async with scene.receiving():
            pass  # so there is a port, and no receiver
        sink = scene.sink()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.run, WorkerFigures)
            await sink.write(records(5))
            tasks.cancel_scope.cancel()  # the worker stops
        await sink.aclose()
        async with scene.receiving(), anyio.create_task_group() as tasks:
            again = scene.sink()
            tasks.start_soon(again.run, WorkerFigures)
            await scene.receiver.wait_for(5)
            tasks.cancel_scope.cancel()
        await again.aclose()
    assert sorted(set(scene.receiver.ids)) == sorted(record.id for record in records(5))


async def test_what_was_written_just_before_the_end_is_still_sent(scene: Scene) -> None:
    with anyio.fail_after(20):
        async with scene.receiving():
            sink = scene.sink()
            await sink.write(records(20))
            await sink.aclose()
    assert len(scene.receiver.ids) == 20


async def test_a_receiver_that_is_gone_for_good_gets_nothing_more(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene.receiver.answer = lambda _attempt: 410
    with anyio.fail_after(20):
        async with scene.receiving():
            sink = scene.sink()
            await sink.write(records(1))
            await sink.run(WorkerFigures)  # it ends by itself
            with pytest.raises(SinkRefused, match="410"):  # so that they are counted as dropped
                await sink.write(records(2))
            await sink.aclose()
    assert len(scene.receiver.attempts) == 1
    assert "410" in caplog.text
    outbox = Outbox(tmp_path / "outbox.db", 9)
    assert outbox.undeliverable() == 1
    outbox.close()


async def test_only_the_kinds_that_were_asked_for_are_sent(scene: Scene) -> None:
    end = CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())
    with anyio.fail_after(20):
        async with scene.receiving():
            url = f"http://127.0.0.1:{scene.port}/events"
            sink = WebhookSink(url, SECRET, outbox=scene.outbox, events={"call_ended"})
            said = Record(call_id="c", sequence=1, time=0, elapsed_ms=0, event=TranscriptInput(text="Hi."))
            await sink.write([said, Record(call_id="c", sequence=2, time=0, elapsed_ms=0, event=end)])
            await sink.aclose()
    assert [body.type for body in scene.receiver.accepted] == ["call_ended"]


async def test_a_full_outbox_leaves_events_to_the_host(scene: Scene) -> None:
    sink = WebhookSink("http://127.0.0.1:9/", SECRET, outbox=scene.outbox, limit=1)
    await sink.write(records(1))
    with pytest.raises(SinkUnavailable):
        await sink.write(records(2))
    await sink.aclose()


@pytest.mark.parametrize("url", ["http://example.org/", "ftp://127.0.0.1/", "https://", "nonsense"])
def test_a_url_without_tls_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        WebhookSink(url, SECRET)


def test_what_is_missing_is_named_and_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="PATTER_WEBHOOK_SINK_URL"):
        WebhookSink()
    with pytest.raises(ConfigurationError, match="PATTER_WEBHOOK_SINK_SECRET"):
        WebhookSink("https://example.org/")
    monkeypatch.setenv("PATTER_WEBHOOK_SINK_URL", "https://example.org/hook?token=hidden")
    monkeypatch.setenv("PATTER_WEBHOOK_SINK_SECRET", SECRET)
    with pytest.raises(ConfigurationError, match=r"WebhookSink\(secret=…\) has an empty text at \[1\]"):
        WebhookSink(secret=[SECRET, ""])
    monkeypatch.setenv("PATTER_WEBHOOK_SINK_SECRET", f"{SECRET}, nonsense")
    with pytest.raises(
        ConfigurationError, match=r"^PATTER_WEBHOOK_SINK_SECRET\[1\] is not the secret of a webhook"
    ):  # each is read
        WebhookSink()
    monkeypatch.setenv("PATTER_WEBHOOK_SINK_SECRET", f"{SECRET}, {SECRET}")
    shown = repr(WebhookSink(secret=" "))
    assert shown == "<WebhookSink to example.org>"


async def test_a_receiver_that_is_down_is_told_once_and_not_with_each_event(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.receiver.answer = lambda _attempt: 503
    with anyio.fail_after(20):
        async with scene.receiving():
            sink = scene.sink()
            await sink.write(records(20))
            with anyio.move_on_after(0.5):
                await sink.run(WorkerFigures)
            await sink.aclose()
    assert len(scene.receiver.attempts) >= 20
    assert caplog.text.count("was not delivered") == 1


async def test_what_a_receiver_does_not_take_is_held_and_told_until_it_is_taken_or_given_up(scene: Scene) -> None:
    scene.receiver.answer = lambda attempt: 503 if attempt == 1 else 204
    with anyio.fail_after(20):
        async with scene.receiving():
            delivery = Delivery([scene.sink()])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(delivery.run)
                scene.receiver.stall = lambda attempt: 0.5 if attempt > 5 else 0.0
                for record in records(5):
                    delivery.put(record)
                for held in (5, 0):
                    while delivery.figures()[0].held != held:  # noqa: ASYNC110 - the sink tells nobody
                        await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            await delivery.drain()
    (figures,) = delivery.figures()
    assert (figures.written, figures.held, figures.dropped) == (5, 0, 0)


async def test_events_that_are_not_sent_are_not_told_as_written(tmp_path: Path) -> None:
    sink = WebhookSink("http://127.0.0.1:1/", SECRET, events={"transcript_input"}, outbox=tmp_path / "outbox.db")
    delivery = Delivery([sink])
    said = Record(call_id="call", sequence=4, time=1.5, elapsed_ms=20, event=TranscriptInput(text="Hello."))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delivery.run)
        for record in (*records(3), said):
            delivery.put(record)
        with anyio.fail_after(10):
            while delivery.figures()[0].waiting:  # noqa: ASYNC110 - the sink tells nobody
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    await delivery.drain(0)
    (figures,) = delivery.figures()
    assert (figures.written, figures.dropped) == (1, 0)


async def test_what_is_given_up_is_dropped_and_what_a_receiver_that_is_gone_leaves_is_held(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_module, "DELAYS", ())
    scene.receiver.answer = lambda _attempt: 503
    with anyio.fail_after(20):
        async with scene.receiving():
            sink = scene.sink()
            await sink.write(records(3))
            with anyio.move_on_after(0.5):
                await sink.run(WorkerFigures)
            assert (sink.given_up, sink.held) == (3, 0)
            scene.receiver.answer = lambda _attempt: 410
            await sink.write(records(23))  # the first three are known
            await sink.run(WorkerFigures)
            await sink.aclose()
    assert (sink.given_up, sink.held) == (3 + 8, 12)


async def test_its_check_tries_the_receiver_and_sends_no_event(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.receiving():
        sink = scene.sink()
        outbox, receiver = await sink.check()
        assert (outbox.level, receiver.level) == (Level.OK, Level.OK)
        assert str(receiver) == "The receiver at 127.0.0.1 answers, a HEAD request with status 405."  # it knows no HEAD
        assert not scene.receiver.attempts
        through_tls = WebhookSink(f"https://127.0.0.1:{scene.port}/events?key=k", SECRET, outbox=tmp_path / "other.db")
        assert (await through_tls.check())[1].level is Level.PROBLEM  # it speaks no TLS
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{scene.port}")
        behind = WebhookSink("https://receiver.example/events", SECRET, outbox=tmp_path / "other.db")
        assert str((await behind.check())[1]).startswith("The receiver at receiver.example cannot be reached.")
    (outbox, receiver) = await sink.check()
    assert (outbox.level, receiver.level) == (Level.OK, Level.PROBLEM)
    assert receiver.what == "The receiver at 127.0.0.1 cannot be reached."
    assert "Check that it runs, the network, and url or PATTER_WEBHOOK_SINK_URL" in receiver.remedy
    assert any("Events wait in the outbox" in line for line in receiver.details)
    monkeypatch.setattr(sink_module, "_CHECK_TIMEOUT", 0.2)
    with bind("127.0.0.1", scene.port):  # it takes connections, and answers none
        assert (await sink.check())[1].what == "The receiver at 127.0.0.1 did not answer in time."
    for one in (sink, through_tls, behind):
        await one.aclose()


async def test_an_outbox_that_cannot_be_a_file_is_refused_and_its_check_says_so(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database " * 100)
    sink = WebhookSink("http://127.0.0.1:1/", SECRET, outbox=tmp_path / "outbox.db")
    result, _receiver = await sink.check()
    assert (result.level, bool(result.remedy)) == (Level.PROBLEM, True)
    with pytest.raises(SinkRefused, match="not a database"):
        await sink.write(records(1))
    await sink.aclose()
