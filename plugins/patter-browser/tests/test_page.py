"""The page's side of a call, spoken by a program: what it asks of the app, and its media socket there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from patter_browser import Browser
from patter_browser.calls import Answer
from patter_browser.wire import SUBPROTOCOL
from patter_core import Patter
from patter_core.audio import PCM16_16000, AudioChunk
from patter_core.events import CallEnded, Interruption, ResponseDone, TranscriptInput
from patter_core.server.serving import serve_app
from patter_core.testing.fakes import FakeEngine, MemorySink

pytestmark = pytest.mark.anyio

FRAME = b"\x01\x02" * 320
USER = "x-user"


class Page:
    """A page, and the phone that it calls.

    Args:
        client: of the page, at its address.
        engine: of the phone.
        sink: gets the records.
    """

    def __init__(self, client: httpx.AsyncClient, engine: FakeEngine, sink: MemorySink) -> None:
        self.client = client
        self.engine = engine
        self.sink = sink
        self.origin = str(client.base_url).removesuffix("/phone/")

    async def ask(self, path: str, fields: object) -> Answer:
        answer = await self.client.post(path, json=fields, headers={"origin": self.origin})
        assert answer.status_code == 200
        return msgspec.json.decode(answer.content, type=Answer)

    def socket(self, answer: Answer, *, origin: str = "", user: str = "ada") -> connect:
        return connect(
            answer.media_url,
            origin=Origin(origin or self.origin),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers={USER: user},
            proxy=None,
            close_timeout=1,
        )

    @contextlib.asynccontextmanager
    async def joined(self, answer: Answer) -> AsyncIterator[ClientConnection]:
        """The media socket of a call, once its stream is open."""
        async with self.socket(answer) as socket:
            assert socket.subprotocol == SUBPROTOCOL
            await socket.send(f'{{"type":"hello","call_id":"{answer.call_id}","rate":{answer.rate}}}')
            yield socket

    async def end(self) -> str:
        with anyio.fail_after(10):
            event = (await self.sink.wait_for("call_ended"))[-1].event
        assert isinstance(event, CallEnded)
        return event.reason


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    engine, sink = FakeEngine(input_format=PCM16_16000, output_format=PCM16_16000), MemorySink()
    phone = Patter(carrier=Browser(sample_rate=16_000), sinks=[sink])
    main = phone.asgi(phone.agent(engine=engine))
    users = phone.app("browser", lambda scope: dict(scope["headers"]).get(USER.encode(), b"").decode())
    async with (
        serve_app(Starlette(routes=[Mount("/phone", users), Mount("/", main)])) as url,
        httpx.AsyncClient(base_url=f"{url}/phone/", headers={USER: "ada"}, timeout=10) as client,
    ):
        yield Page(client, engine, sink)


async def texts(socket: ClientConnection, kind: str) -> str:
    """Returns the next text of that type."""
    with anyio.fail_after(10):
        while True:
            message = await socket.recv()
            if isinstance(message, str) and f'"type":"{kind}"' in message:
                return message


async def test_a_call_from_the_page(page: Page) -> None:
    assert (await page.client.get("settings")).json() == {"rate": 16_000}
    answer = await page.ask("call", {"to_number": "+15005550001"})
    assert answer.media_url.startswith(page.origin.replace("http", "ws") + "/phone/media/browser/")
    async with page.joined(answer) as socket, page.client.stream("GET", f"events?call={answer.call}") as events:
        session = await page.engine.session()
        assert session.setup.leg.to_number == "+15005550001"
        for _ in range(5):
            await socket.send(FRAME)
        await socket.send('{"type":"key","digit":"7"}')
        await session.until(lambda: session.digits == ["7"])
        assert b"".join(chunk.data for chunk in session.received) == 5 * FRAME
        session.give(AudioChunk(FRAME * 50, PCM16_16000))
        session.give(ResponseDone())
        played = b""
        while not isinstance(message := await socket.recv(), str):
            played += message
        assert played + b"".join([part async for part in rest(socket, len(FRAME) * 50 - len(played))]) == FRAME * 50
        session.give(TranscriptInput("Seven."))
        async for line in events.aiter_lines():
            if "Seven." in line:
                break
        await socket.send('{"type":"hangup"}')
        assert await page.end() == "caller_hung_up"


async def rest(socket: ClientConnection, size: int) -> AsyncIterator[bytes]:
    while size > 0:
        message = await socket.recv()
        if isinstance(message, bytes):
            size -= len(message)
            yield message


async def test_an_interruption_clears_the_page(page: Page) -> None:
    async with page.joined(await page.ask("call", {})) as socket:
        session = await page.engine.session()
        session.give(AudioChunk(FRAME * 200, PCM16_16000))
        await texts(socket, "mark")
        session.give(Interruption())
        await texts(socket, "clear")


async def test_the_agent_hangs_up_by_the_socket(page: Page) -> None:
    async with page.joined(await page.ask("call", {})) as socket:
        (await page.engine.session()).end()
        await texts(socket, "hangup")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    assert await page.end() == "agent_hung_up"


async def test_a_page_that_lost_its_socket_joins_its_call_again(page: Page) -> None:
    first = await page.ask("call", {})
    async with page.joined(first) as socket:
        session = await page.engine.session()
        socket.transport.abort()
    second = await page.ask("lost", {"call_id": first.call_id, "stream_url": first.stream_url})
    assert second.call == first.call
    async with page.joined(second) as socket:
        session.give(AudioChunk(FRAME, PCM16_16000))
        while not isinstance(await socket.recv(), bytes):
            pass
        await socket.send('{"type":"hangup"}')
        assert await page.end() == "caller_hung_up"
    assert len(page.engine.sessions) == 1
    over = await page.ask("lost", {"call_id": first.call_id, "stream_url": second.stream_url})
    assert over == Answer(reason="over")


async def test_who_is_not_let_in_gets_nothing(page: Page) -> None:
    stranger = {USER: "", "origin": page.origin}
    for path in ("", "settings", "events?call=1", "static/phone.js"):
        assert (await page.client.get(path, headers=stranger)).status_code == 401
    for path in ("call", "lost"):
        assert (await page.client.post(path, json={}, headers=stranger)).status_code == 401
    assert not page.engine.sessions
    answer = await page.ask("call", {})
    with pytest.raises(InvalidStatus):
        async with page.socket(answer, user=""):
            pass


async def test_a_page_of_strangers_gets_nothing(page: Page) -> None:
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await page.client.post("call", json={}, headers=evil)).status_code == 403
    answer = await page.ask("call", {})
    with pytest.raises(InvalidStatus):
        async with page.socket(answer, origin="https://evil.example"):
            pass
    async with page.joined(answer):  # the token was not used up
        await page.engine.session()


async def test_a_media_socket_is_opened_once(page: Page) -> None:
    answer = await page.ask("call", {})
    async with page.joined(answer):
        await page.engine.session()
        with pytest.raises(InvalidStatus):
            async with page.socket(answer):
                pass


async def test_a_made_up_token_opens_nothing_and_moves_no_call(page: Page) -> None:
    answer = await page.ask("call", {})
    async with page.joined(answer) as socket:
        session = await page.engine.session()
        forged = f"{page.origin}/phone/webhooks/browser/stream?call=forged"
        assert await page.ask("lost", {"call_id": "0123456789abcdef", "stream_url": forged}) == Answer(reason="over")
        with pytest.raises(InvalidStatus):
            async with page.socket(msgspec.structs.replace(answer, media_url=answer.media_url + "x")):
                pass
        await socket.send(FRAME)
        await session.until(lambda: bool(session.received))  # the call goes on
