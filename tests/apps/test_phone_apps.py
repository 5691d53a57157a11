"""Apps of a phone that is served: their own listener, what they see of real calls, and what they do with them."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from patter_core import Limits, Patter
from patter_core.app import FeedItem, PhoneView, WebApp, base_url_of
from patter_core.apps import phone_apps
from patter_core.apps.access import AppAccess
from patter_core.errors import CallError, CallLimitReached, ConfigurationError, ForeignFault
from patter_core.events import CallAnnounced, TranscriptInput
from patter_core.registry import Registry
from patter_core.server.serving import bind, serve_app
from patter_core.server.ties import WorkerTies
from patter_core.sink import EventSink
from patter_core.sinks import SQLiteSink
from patter_core.storage.archive import CallFilter
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage
from patter_core.webhook import Accept
from tests.polling import until

pytestmark = pytest.mark.anyio

FAKE = {"x-fake": "yes"}
CALLER = "+15557654321"


class Tool(WebApp):
    """An app that keeps what it was given."""

    name = "tool"
    title = "Tool"

    def __init__(self) -> None:
        self.views: list[PhoneView] = []

    def asgi(self, phone: PhoneView) -> ASGIApp:
        async def hello(_request: Request) -> Response:
            return PlainTextResponse("hello")

        self.views.append(phone)
        return Router([Route("/", hello)])


class Paged(FakeCarrier):
    """A carrier whose calls come by an app."""

    name = "paged"
    own_page = True


class _Endpoint:
    """Starlette takes an instance for an ASGI app, and a function for a handler of its own kind."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class PagedApp(WebApp):
    name = "paged"

    def asgi(self, phone: PhoneView) -> ASGIApp:
        async def begin(request: Request) -> Response:
            leg = Leg(carrier="paged", call_id="page-1", from_number=CALLER)
            answer = await phone.route(leg, base_url_of(request.scope))
            return PlainTextResponse(answer.media_url if isinstance(answer, Accept) else "no")

        media = WebSocketRoute("/media/paged/{token}", _Endpoint(phone.media("paged")))
        return Router([Route("/call", begin, methods=["POST"]), media])


class Scene:
    """A phone that is served, with its apps."""

    def __init__(self, phone: Patter, tool: Tool, carrier: FakeCarrier, engine: FakeEngine) -> None:
        self.phone, self.tool, self.carrier, self.engine = phone, tool, carrier, engine
        self.url = self.apps_url = self.link = ""

    @property
    def view(self) -> PhoneView:
        return self.tool.views[-1]

    @contextlib.asynccontextmanager
    async def call(self, leg: str = "leg-1") -> AsyncIterator[ClientConnection]:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.url}/webhooks/fake/voice", content=leg, headers=FAKE)
        async with connect(answer.text, additional_headers=FAKE) as media:
            await media.send(msgspec.json.encode(FakeMessage("start", leg)).decode())
            await self.engine.session()
            yield media


@contextlib.asynccontextmanager
async def served(
    capsys: pytest.CaptureFixture[str],
    *,
    sinks: Sequence[EventSink] = (),
    access: AppAccess | None = None,
    several: bool = False,
    more: Sequence[WebApp] = (),
) -> AsyncIterator[Scene]:
    tool, engine, carrier = Tool(), FakeEngine(), FakeCarrier()
    phone = Patter(
        carrier=[carrier, Paged()],
        registry=Registry(),
        sinks=sinks,
        apps=[tool, *more],
        apps_port=0,
        apps_access=access,
        several_workers=several,
        limits=Limits(drain=0.05, linger=0),
    )
    scene = Scene(phone, tool, carrier, engine)
    agent = phone.agent(engine=engine)
    ready = anyio.Event()

    def up(url: str) -> None:
        scene.url = url
        ready.set()

    capsys.readouterr()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:

            async def serve() -> None:
                await phone.serve(agent, port=0, on_ready=up)

            tasks.start_soon(serve)
            await ready.wait()
            printed = capsys.readouterr().err
            found = re.search(r"(http://127\.0\.0\.1:\d+)(?:/#token=(\S+))?", printed)
            assert found is not None, printed
            scene.apps_url, scene.link = found[1], found[2]
            yield scene
            tasks.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def signed_in(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=scene.apps_url, headers={"origin": scene.apps_url}) as client:
        assert (await client.post("/-/session", json={"token": scene.link})).status_code == 204
        yield client


async def test_apps_have_a_listener_of_their_own_and_are_not_at_the_carriers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with served(capsys) as scene:
        async with signed_in(scene) as client:
            assert (await client.get("/tool/")).text == "hello"
        assert "The link was used. The next one: " in capsys.readouterr().err
        async with httpx.AsyncClient(base_url=scene.url) as carrier:
            for path in ("/tool/", "/-/session", "/-/entry.js", "/"):
                assert (await carrier.get(path)).status_code == 404
        async with httpx.AsyncClient(base_url=scene.apps_url) as stranger:
            assert (await stranger.post("/webhooks/fake/voice", content="leg", headers=FAKE)).status_code == 403


async def test_the_link_is_in_no_log(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(capsys) as scene:
        async with signed_in(scene):
            pass
        assert scene.link not in caplog.text


async def test_an_app_sees_a_live_call_and_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with served(capsys) as scene:
        before = scene.view.position
        async with scene.call() as media:
            (summary,) = await scene.view.calls()
            assert (summary.carrier, summary.agent, summary.here) == ("fake", "agent", True)
            call = scene.view.call(summary.call_id)
            assert call is not None
            assert call.leg.call_id == "leg-1"
            call.add_context("They are a regular.")
            records = await scene.view.records(summary.call_id)
            assert isinstance(records[0].event, CallAnnounced)
            (row,) = await scene.view.recent.calls(CallFilter())
            assert row.ended is None
            assert scene.view.health().calls == 1
            await scene.view.hang_up(summary.call_id)
            await media.wait_closed()
        assert await scene.view.calls() == []
        kinds = list[str]()
        async for item in scene.view.feed(before):
            kinds.append(item.record.event.kind)
            if kinds[-1] == "call_ended":
                break
        assert kinds[0] == "call_announced"
        with pytest.raises(CallError, match="No such call is live"):
            await scene.view.hang_up(summary.call_id)


async def test_a_transfer_obeys_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    async with served(capsys) as scene, scene.call():
        (summary,) = await scene.view.calls()
        with pytest.raises(ConfigurationError, match=r"E\.164"):
            await scene.view.transfer(summary.call_id, "call me")
        with pytest.raises(CallLimitReached):
            await scene.view.transfer(summary.call_id, "+19005551234")
        await scene.view.transfer(summary.call_id, "+15550009999", say="One moment.")
        await until(lambda: "transfer leg-1 +15550009999 One moment." in scene.carrier.commands)


async def test_a_call_of_another_worker_is_ended_and_transferred_at_its_carrier(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "calls.db"
    async with (
        served(capsys, sinks=[SQLiteSink(path)], several=True) as first,
        served(capsys, sinks=[SQLiteSink(path)], several=True) as second,
        first.call(),
    ):
        await until(path.exists)
        found = list[str]()
        with anyio.fail_after(10):
            while not found:
                found = [call.call_id for call in await second.view.calls() if not call.here]
                await anyio.sleep(0.01)
        (call_id,) = found
        assert second.view.call(call_id) is None
        before = second.view.position
        assert (await second.view.records(call_id))[0].event.kind == "call_announced"
        session = await first.engine.session()
        session.give(TranscriptInput(text="Is anybody there?"))
        with anyio.fail_after(10):
            async for item in second.view.feed(before):  # also the call's first records, which it has not seen
                if isinstance(item.record.event, TranscriptInput):
                    break
        assert item.record.call_id == call_id
        with pytest.raises(CallLimitReached):
            await second.view.transfer(call_id, "+19005551234")
        await second.view.transfer(call_id, "+15550009999")
        assert second.carrier.commands == ["transfer leg-1 +15550009999 "]
        await second.view.hang_up(call_id)
        assert second.carrier.hung_up == ["leg-1"]
        with pytest.raises(CallError):
            await second.view.hang_up("unknown")


@pytest.mark.parametrize(("access", "shown"), [(AppAccess(), "***********21"), (AppAccess(unmasked=True), CALLER)])
async def test_numbers_are_masked_unless_a_setting_shows_them(
    capsys: pytest.CaptureFixture[str], access: AppAccess, shown: str
) -> None:
    async with served(capsys, access=access) as scene:
        before = scene.view.position
        await scene.view.route(Leg(carrier="paged", call_id="page-1", from_number=CALLER), scene.apps_url)
        (summary,) = await scene.view.calls(unmasked=True)
        assert summary.from_number[-2:] == "21"
        assert (summary.from_number == CALLER) == (shown == CALLER)
        (masked,) = await scene.view.calls()
        assert CALLER not in masked.from_number
        item = await anext(aiter(scene.view.feed(before, unmasked=True)))
        assert isinstance(item, FeedItem)
        assert isinstance(item.record.event, CallAnnounced)
        assert (item.record.event.leg.from_number == CALLER) == (shown == CALLER)
        assert CALLER not in repr(await scene.view.records(summary.call_id))
        scene.phone.calls[0]._call.hang_up()


async def test_a_carrier_with_a_page_has_its_calls_at_the_apps_listener_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with served(capsys, more=[PagedApp()]) as scene, signed_in(scene) as client:
        url = (await client.post("/paged/call")).text
        assert url.startswith(f"ws://{scene.apps_url[7:]}/paged/media/paged/")
        at_the_carriers = url.replace(scene.apps_url[7:] + "/paged", scene.url[7:])
        with pytest.raises(InvalidStatus):
            await connect(at_the_carriers, additional_headers=FAKE)
        with pytest.raises(InvalidStatus):  # without the cookie
            await connect(url, origin=scene.apps_url, additional_headers=FAKE)  # type: ignore[arg-type] # a str serves
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        headers = {**FAKE, "cookie": cookie}
        async with connect(url, origin=scene.apps_url, additional_headers=headers) as media:  # type: ignore[arg-type]
            await media.send(msgspec.json.encode(FakeMessage("start", "page-1")).decode())
            await scene.engine.session()
            await media.send(msgspec.json.encode(FakeMessage("stop")).decode())
            await media.wait_closed()


async def test_a_feed_ends_when_the_server_stops(capsys: pytest.CaptureFixture[str]) -> None:
    ended = anyio.Event()

    async def read(view: PhoneView) -> None:
        async for _ in view.feed():
            pass
        ended.set()

    async with anyio.create_task_group() as tasks:
        async with served(capsys) as scene:
            tasks.start_soon(read, scene.view)
            await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await ended.wait()


async def test_an_app_is_mounted_in_a_server_of_the_users_own() -> None:
    tool = Tool()
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[tool])
    calls = phone.asgi(phone.agent(engine=FakeEngine()))
    outer = Starlette(
        routes=[Mount("/calls", calls), Mount("/staff", phone.app("tool", lambda _scope: "ada"))],
        lifespan=calls.lifespan_context,
    )
    async with serve_app(outer) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/staff/")).text == "hello"
        assert tool.views[0].health().ready
    with pytest.raises(ConfigurationError, match="no app “dashboard”"):
        phone.app("dashboard", lambda _scope: "ada")


async def test_a_feed_of_a_mounted_phone_ends_once_it_is_drained() -> None:
    tool = Tool()
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[tool])
    calls = phone.asgi(phone.agent(engine=FakeEngine()))
    phone.app("tool", lambda _scope: "ada")
    async with calls.lifespan_context(Starlette()):
        with anyio.move_on_after(0.05) as waiting:
            assert [item async for item in tool.views[0].feed()] == []
        assert waiting.cancelled_caught
        await phone.drain()
        with anyio.fail_after(5):
            assert [item async for item in tool.views[0].feed()] == []


async def test_before_a_server_runs_an_app_sees_nothing() -> None:
    tool = Tool()
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[tool])
    phone.app("tool", lambda _scope: "ada")
    (view,) = tool.views
    assert await view.calls() == []
    assert view.call("call") is None
    with pytest.raises(CallError, match="No server runs"):
        await view.hang_up("call")
    with pytest.raises(CallError, match="No server runs"):
        view.media("fake")


async def test_what_an_app_raises_is_the_apps() -> None:
    class Exits(Tool):
        def asgi(self, phone: PhoneView) -> ASGIApp:
            raise SystemExit(3)

    phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[Exits()], apps_port=0)
    agent = phone.agent(engine=FakeEngine())
    with pytest.raises(ForeignFault):
        phone.app("tool", lambda _scope: "ada")
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group, or the fault itself
        await phone.serve(agent, port=0, on_ready=lambda _url: None)
    assert "SystemExit" in repr(caught.value)


@pytest.mark.parametrize("case", ["another instance shares the socket", "a parent would replace it"])
async def test_where_another_process_has_the_port_the_server_takes_calls_and_the_apps_come_when_it_is_free(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    is_shared = case.startswith("another")
    monkeypatch.setattr(phone_apps, "_TRY_EVERY", 0.01)
    links: list[str] = []
    with bind("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[Tool()], apps_port=port)
        agent, ready = phone.agent(engine=FakeEngine()), anyio.Event()

        async def serve() -> None:
            listener, ties = bind("127.0.0.1", 0), WorkerTies(on_link=links.append, is_service=is_shared)
            on_ready = lambda _url: ready.set()  # noqa: E731 - one line
            await phone.serve(agent, listener=listener, shared_listener=is_shared, on_ready=on_ready, ties=ties)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                await ready.wait()
                await anyio.sleep(0.05)
                assert links == []
                other.close()
                await until(lambda: bool(links))
                async with httpx.AsyncClient() as client:
                    assert (await client.get(links[0].partition("#")[0])).status_code < 500
                tasks.cancel_scope.cancel()
    (told,) = [entry.getMessage() for entry in caplog.records if entry.name == "patter.apps"]
    assert told.startswith(
        f"The apps are not served yet. Cannot listen on 127.0.0.1 port {port}: Address already in use."
    )


async def test_a_port_that_is_taken_is_an_error_where_there_is_no_other_instance() -> None:
    with bind("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[Tool()], apps_port=port)
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group, or the error itself
            await phone.serve(phone.agent(engine=FakeEngine()), port=0)
    assert "or stop what is using it." in repr(caught.value)


@pytest.mark.parametrize(("host", "apps_host"), [("127.0.0.1", "localhost"), ("0.0.0.0", "127.0.0.1")])
@pytest.mark.parametrize("shared", [False, True])
async def test_the_port_of_the_server_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch, host: str, apps_host: str, *, shared: bool
) -> None:
    monkeypatch.setenv("PATTER_APPS_HOST", apps_host)
    listener = bind(host, 0)
    port = listener.getsockname()[1]
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[Tool()], apps_port=port)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group, or the error itself
        await phone.serve(phone.agent(engine=FakeEngine()), listener=listener, shared_listener=shared)
    assert f"Cannot listen on {apps_host} port {port}: this server listens there itself" in repr(caught.value)


def test_two_apps_of_one_name_and_a_wrong_port_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="two apps"):
        Patter(carrier=FakeCarrier(), registry=Registry(), apps=[Tool(), Tool()])
    with pytest.raises(ConfigurationError, match="Expected a list"):
        Patter(carrier=FakeCarrier(), registry=Registry(), apps="dashboard")  # type: ignore[arg-type] # the mistake
    monkeypatch.setenv("PATTER_PORT", "0")
    monkeypatch.setenv("PATTER_APPS_PORT", "http")
    phone = Patter(carrier=FakeCarrier(), registry=Registry(), apps=[Tool()])
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group, or the error itself
        anyio.run(phone.serve, phone.agent(engine=FakeEngine()))
    assert "PATTER_APPS_PORT is not a port number." in repr(caught.value)
