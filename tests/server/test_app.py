"""The server over real sockets: who is let in, who is turned away, and what the carrier is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence

import anyio
import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from patter_core.agent import Agent
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.events import CallEnded, Record, TranscriptInput
from patter_core.server import app as app_module
from patter_core.server import serving as serving_module
from patter_core.server.app import make_app
from patter_core.server.descriptors import Room
from patter_core.server.host import CallHost
from patter_core.server.serving import serve_app
from patter_core.sink import EventSink
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage, MemorySink
from patter_core.webhook import CallRouter, Webhook, WebhookRequest, WebhookResponse
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)
FAKE = {"x-fake": "yes"}
IDLE = {
    "sink": "memory",
    "waiting": 0,
    "waiting_bytes": 0,
    "written": 0,
    "dropped": 0,
    "dropped_bytes": 0,
    "failures": 0,
    "held": 0,
    "open": False,
}


class Scene:
    def __init__(
        self,
        *,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        more_sinks: Sequence[EventSink] = (),
        carrier: FakeCarrier | None = None,
    ) -> None:
        self.carrier = carrier or FakeCarrier()
        self.engine = FakeEngine()
        self.sink = MemorySink()
        self.more_sinks = more_sinks
        self.agent: Agent | None = Agent(engine=self.engine)
        self.limits = limits or Limits(drain=0.05)
        self.deadlines = deadlines or Deadlines(last_word=0.2, media_return=0.2)
        self.host = self.new_host()
        self.url = ""

    def new_host(self) -> CallHost:
        async def route(_leg: Leg) -> Agent | None:
            return self.agent

        def find(_name: str) -> Agent | None:
            return self.agent

        return CallHost(
            self.carrier,
            config=HostConfig(limits=self.limits, deadlines=self.deadlines),
            route=route,
            find_agent=find,
            sinks=[self.sink, *self.more_sinks],
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[httpx.AsyncClient]:
        with anyio.fail_after(20):
            async with serve_app(make_app(self.host)) as self.url, httpx.AsyncClient(base_url=self.url) as client:
                yield client


async def arrive(client: httpx.AsyncClient, leg: str = "leg-1") -> str:
    """Announce a call as the carrier would; gives the media URL."""
    response = await client.post("/webhooks/fake/voice", content=leg, headers=FAKE)
    assert response.status_code == 200
    return response.text


async def say(media: ClientConnection, event: str, value: str = "") -> None:
    await media.send(msgspec.json.encode(FakeMessage(event, value)).decode())


async def test_a_call_comes_in_talks_and_ends() -> None:
    scene = Scene()
    async with scene.serving() as client:
        url = await arrive(client)
        assert url.startswith(scene.url.replace("http", "ws") + "/media/fake/")
        async with connect(url, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            session = await scene.engine.session()
            session.give(FRAME)
            heard = msgspec.json.decode(await media.recv(), type=FakeMessage)
            await say(media, "audio", FRAME.base64)
            await say(media, "stop")
            with pytest.raises(ConnectionClosed):
                await media.recv()
        await scene.sink.wait_for("call_ended")
        assert heard == FakeMessage("audio", FRAME.base64)
        assert [chunk.data for chunk in session.received] == [FRAME.data]
        assert len(scene.host.table) == 0


async def test_a_webhook_that_proves_nothing_is_refused_and_nothing_is_touched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    async with scene.serving() as client:
        response = await client.post("/webhooks/fake/voice", content="leg-1")
        assert response.status_code == 403
        assert len(scene.host.table) == 0
    assert scene.engine.sessions == []
    assert scene.sink.records == []
    assert "x-fake" in caplog.text


@pytest.mark.parametrize("token", ["nonsense", "a.b", "%00", "a" * 2000])
async def test_a_socket_with_a_bad_token_is_refused_before_it_is_accepted(token: str) -> None:
    scene = Scene()
    async with scene.serving():
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{scene.url.replace('http', 'ws')}/media/fake/{token}", additional_headers=FAKE)
        assert caught.value.response.status_code == 403
    assert scene.engine.sessions == []


async def test_a_socket_without_the_carriers_proof_is_refused_and_the_token_stays_good() -> None:
    scene = Scene()
    async with scene.serving() as client:
        url = await arrive(client)
        with pytest.raises(InvalidStatus) as caught:
            await connect(url)
        assert caught.value.response.status_code == 403
        async with connect(url, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            await scene.engine.session()
            await say(media, "stop")
            await media.wait_closed()


async def test_a_token_is_good_for_one_socket(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    async with scene.serving() as client:
        url = await arrive(client)
        async with connect(url, additional_headers=FAKE) as media:
            with pytest.raises(InvalidStatus):
                await connect(url, additional_headers=FAKE)
            await say(media, "start", "leg-1")
            await scene.engine.session()
            await say(media, "stop")
            await media.wait_closed()
        with pytest.raises(InvalidStatus):
            await connect(url, additional_headers=FAKE)
    assert url.rpartition("/")[2] not in caplog.text


async def test_another_worker_takes_the_stream_of_a_call_it_has_never_heard_of() -> None:
    first, second = Scene(), Scene()
    async with first.serving() as client, second.serving():
        url = (await arrive(client)).replace(first.url[7:], second.url[7:])
        async with connect(url, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            session = await second.engine.session()
            assert session.setup.leg.call_id == "leg-1"
            await say(media, "stop")
            await media.wait_closed()


async def test_a_webhook_delivered_twice_is_one_call() -> None:
    scene = Scene()
    async with scene.serving() as client:
        assert await arrive(client) == await arrive(client)
        assert len(scene.host.table) == 1


async def test_beyond_the_limit_the_carrier_is_told_that_we_are_busy() -> None:
    scene = Scene(limits=Limits(calls=2, drain=0.05))
    async with scene.serving() as client:
        for leg in ("leg-1", "leg-2"):
            await arrive(client, leg)
        assert (await client.get("/health/ready")).status_code == 503
        response = await client.post("/webhooks/fake/voice", content="leg-3", headers=FAKE)
        assert (response.status_code, response.text) == (503, "busy")


async def test_a_call_that_nobody_takes_is_rejected() -> None:
    scene = Scene()
    scene.agent = None
    async with scene.serving() as client:
        response = await client.post("/webhooks/fake/voice", content="leg-1", headers=FAKE)
        assert (response.status_code, response.text) == (503, "rejected")


async def test_health_tells_whether_it_lives_and_whether_it_takes_calls() -> None:
    scene = Scene()
    async with scene.serving() as client:
        assert (await client.get("/health/live")).status_code == 200
        ready = await client.get("/health/ready")
        assert ready.json() == {"ready": True, "calls": 0, "records_dropped": 0, "sinks": [IDLE]}


async def test_a_body_that_is_too_long_is_refused() -> None:
    scene = Scene()
    async with scene.serving() as client:
        response = await client.post("/webhooks/fake/voice", content=b"x" * 300_000, headers=FAKE)
        assert response.status_code == 413
        assert response.headers["connection"] == "close"


async def test_a_body_that_does_not_come_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_BODY_TIMEOUT", 0.2)

    async def body() -> AsyncIterator[bytes]:
        yield b"leg"
        await anyio.sleep(5)

    scene = Scene()
    async with scene.serving() as client:
        response = await client.post("/webhooks/fake/voice", content=body(), headers=FAKE)
        assert response.status_code == 408
        assert response.headers["connection"] == "close"


async def test_a_connection_that_brought_a_signed_webhook_is_the_last_to_be_shed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_module, "room_in", lambda descriptors: Room(descriptors, calls=100, connections=4))
    scene = Scene()
    async with scene.serving() as client, contextlib.AsyncExitStack() as strangers:
        port = httpx.URL(scene.url).port
        assert port is not None
        signed = await asyncio.open_connection("127.0.0.1", port)
        unsigned = await asyncio.open_connection("127.0.0.1", port)
        request = "POST /webhooks/fake/voice HTTP/1.1\r\nHost: here\r\n{}Content-Length: 5\r\n\r\nleg-1"
        for (reader, writer), headers, status in ((signed, "x-fake: yes\r\n", b"200"), (unsigned, "", b"403")):
            writer.write(request.format(headers).encode())
            assert status in await reader.readuntil(b"\r\n\r\n")
        for _ in range(12):
            strangers.enter_context(socket.create_connection(("127.0.0.1", port)))
        await until(lambda: unsigned[0].at_eof() or unsigned[0].exception() is not None)
        signed[1].write(request.format("x-fake: yes\r\n").encode())
        await signed[0].readuntil(b"HTTP/1.1 200 OK")
        for _, writer in (signed, unsigned):
            writer.close()
        assert (await client.get("/health/live")).status_code == 200


async def test_a_handler_that_fails_is_a_500_and_the_next_call_works(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    async with scene.serving() as client:
        response = await client.post("/webhooks/fake/voice", content=b"\xff", headers=FAKE)
        assert response.status_code == 500
        assert "UnicodeDecodeError" in caplog.text
        await arrive(client)


class Broken(FakeCarrier):
    """A carrier whose plugin does that to each webhook and each upgrade, once `is_broken`."""

    def __init__(self, fault: BaseException | WebhookResponse | None) -> None:
        super().__init__()
        self.is_broken = False
        self._fault = fault

    def webhooks(self) -> Mapping[str, Webhook]:
        voice = super().webhooks()["voice"].handler

        async def handler(request: WebhookRequest, router: CallRouter) -> WebhookResponse:
            if not self.is_broken:
                return await voice(request, router)
            if isinstance(self._fault, BaseException):
                raise self._fault
            if self._fault is None:
                await anyio.sleep_forever()
            assert isinstance(self._fault, WebhookResponse)
            return self._fault

        return {"voice": Webhook(handler)}

    def verify_upgrade(self, request: WebhookRequest) -> None:
        if self.is_broken and isinstance(self._fault, BaseException):
            raise self._fault


@contextlib.asynccontextmanager
async def a_call_goes_on(carrier: Broken) -> AsyncIterator[httpx.AsyncClient]:
    """A call is live before the carrier's plugin breaks, and its caller hears the agent afterwards."""
    scene = Scene(carrier=carrier)
    async with scene.serving() as client, connect(await arrive(client), additional_headers=FAKE) as media:
        await say(media, "start", "leg-1")
        session = await scene.engine.session()
        yield client
        session.give(FRAME)
        await media.recv()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (LookupError("a bug"), "a bug"),
        (SystemExit(3), "It raised SystemExit."),
        (asyncio.CancelledError(), "It raised CancelledError"),
        (None, "It took too long."),
        (WebhookResponse(status="none"), "handler failed"),  # type: ignore[arg-type] # the fault under test
    ],
    ids=repr,
)
async def test_whatever_comes_out_of_a_handler_is_a_500_and_live_calls_go_on(
    fault: BaseException | WebhookResponse | None,
    said: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app_module, "_HANDLER_TIMEOUT", 0.2)
    async with a_call_goes_on(carrier := Broken(fault)) as client:
        carrier.is_broken = True
        assert (await client.post("/webhooks/fake/voice", content=b"leg-2", headers=FAKE)).status_code == 500
    assert said in caplog.text


@pytest.mark.parametrize("fault", [LookupError("a bug"), SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_whatever_comes_out_of_verify_upgrade_is_a_403_and_live_calls_go_on(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_call_goes_on(carrier := Broken(fault)) as client:
        other = await arrive(client, "leg-2")
        carrier.is_broken = True
        with pytest.raises(InvalidStatus, match="403"):
            await connect(other, additional_headers=FAKE)
    assert "verify_upgrade() failed" in caplog.text


async def test_a_message_that_is_too_long_ends_the_socket_and_the_call() -> None:
    scene = Scene()
    async with scene.serving() as client:
        async with connect(await arrive(client), additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            await scene.sink.wait_for("media_started")
            await media.send("x" * 100_000)
            await media.wait_closed()
            assert media.close_code == 1009
        (end,) = await scene.sink.wait_for("call_ended")
        assert isinstance(end.event, CallEnded)
        assert end.event.reason == "media_lost"
        assert scene.carrier.hung_up == ["leg-1"]


async def test_at_the_end_live_calls_are_ended_and_told() -> None:
    scene = Scene()
    async with scene.serving() as client:
        media = await connect(await arrive(client), additional_headers=FAKE)
        await say(media, "start", "leg-1")
        session = await scene.engine.session()
        session.give(FRAME)
        await media.recv()
    assert session.closed
    assert [record.event.kind for record in scene.sink.records][-1] == "call_ended"
    assert scene.carrier.hung_up == ["leg-1"]
    await media.close()


async def test_mounted_under_a_path_without_its_lifespan_it_still_works() -> None:
    scene = Scene()
    outer = Starlette(routes=[Mount("/phone", make_app(scene.host))])
    with anyio.fail_after(20):
        async with serve_app(outer) as url, httpx.AsyncClient(base_url=f"{url}/phone") as client:
            media_url = await arrive(client)
            assert "/phone/media/fake/" in media_url
            async with connect(media_url, additional_headers=FAKE) as media:
                await say(media, "start", "leg-1")
                session = await scene.engine.session()
                session.give(FRAME)
                await media.recv()
                await say(media, "stop")
                await media.wait_closed()
            await scene.sink.wait_for("call_ended")
    assert scene.host._unmanaged is not None
    scene.host._unmanaged.cancel()


class Stuck(EventSink):
    """Takes nothing, and has room for little."""

    name = "stuck"
    backlog = 1

    async def write(self, records: Sequence[Record]) -> None:
        await anyio.sleep_forever()


async def test_what_a_stuck_sink_loses_shows_in_health_and_the_end_waits_for_it_no_longer_than_agreed() -> None:
    scene = Scene(limits=Limits(drain=0.05, flush=0.1), more_sinks=[Stuck()])
    async with scene.serving() as client:
        async with connect(await arrive(client), additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            session = await scene.engine.session()
            for _ in range(3):
                session.give(TranscriptInput(text="Hi."))
            await scene.sink.wait_for("transcript_input", 3)
            await say(media, "stop")
            await scene.sink.wait_for("call_ended")
        health = (await client.get("/health/ready")).json()
        stuck = next(figures for figures in health["sinks"] if figures["sink"] == "stuck")
        assert stuck["dropped"] == health["records_dropped"] > 0
        began = anyio.current_time()
    assert anyio.current_time() - began < 5  # a write may take twice as long
    figures = {figures.sink: figures for figures in scene.host.delivery.figures()}
    assert (figures["stuck"].waiting, figures["memory"].dropped) == (0, 0)
    assert figures["stuck"].dropped == len(scene.sink.records)
