"""What a stranger, or a broken peer, may cost the server: bytes on real sockets, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from patter_core.server import connections as module
from patter_core.server import serving
from patter_core.server.connections import note_proof
from patter_core.server.descriptors import Room
from patter_core.server.serving import serve_app
from tests.polling import until

pytestmark = pytest.mark.anyio

GET = b"GET /%s HTTP/1.1\r\nHost: here\r\n\r\n"
UPGRADE = (
    b"GET /media HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
DEADLINE = 0.4
TEXT, PING, PONG, CONTINUED, CLOSE = 0x81, 0x89, 0x8A, 0x00, 0x88


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_HEAD_DEADLINE", "_UNREAD_BODY", "_CLOSING", "_AFTER_CALL"):
        monkeypatch.setattr(module, name, DEADLINE)


async def hello(request: Request) -> Response:
    await request.body()
    return Response(b"hello")


async def proven(request: Request) -> Response:
    note_proof(request.scope)
    return Response(b"proven")


async def long_answer(_: Request) -> Response:
    return Response(bytes(1_000_000))


async def ignore_body(_: Request) -> Response:
    return Response(b"ignored")


class Media:
    """An app's end of a media socket: it echoes until it is told to be over, or to send without end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"] == "over":
                await send({"type": "websocket.close"})
                return
            if message["text"] == "flood and be over":
                with anyio.move_on_after(0.3):
                    while True:
                        await send({"type": "websocket.send", "bytes": bytes(100_000)})
                return
            await send({"type": "websocket.send", "text": message["text"]})


APP = Starlette(
    routes=[
        Route("/hello", hello, methods=["GET", "POST"]),
        Route("/proven", proven),
        Route("/long", long_answer),
        Route("/ignore", ignore_body, methods=["POST"]),
        WebSocketRoute("/media", Media()),
    ]
)


class Peer:
    """One connection, and what came on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def frame(self, kind: int, data: bytes = b"") -> None:
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
        self.writer.write(bytes([kind]) + size + bytes(4) + data)
        await self.writer.drain()

    async def request(self, data: bytes) -> bytes:
        self.writer.write(data)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        return head + (await self.reader.readexactly(int(length[0].split(b":")[1])) if length else b"")

    async def closed(self) -> float:
        """Waits until the server has closed the connection; gives how long that took."""
        began = anyio.current_time()
        with anyio.fail_after(5), contextlib.suppress(OSError):
            while await self.reader.read(65536):
                pass
        return anyio.current_time() - began

    @property
    def is_closed(self) -> bool:
        return self.reader.at_eof() or self.reader.exception() is not None


class Place:
    def __init__(self, port: int) -> None:
        self.port = port
        self.peers: list[Peer] = []

    async def peer(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def media(self) -> Peer:
        peer = await self.peer()
        assert b" 101 " in await peer.request(UPGRADE)
        return peer


@contextlib.asynccontextmanager
async def serving_app() -> AsyncIterator[Place]:
    with anyio.fail_after(20):
        async with serve_app(APP) as url:
            place = Place(int(url.rpartition(":")[2]))
            try:
                yield place
            finally:
                for peer in place.peers:
                    peer.writer.close()


# --- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", GET[:8], UPGRADE[:60]], ids=["nothing", "half a head", "half an upgrade"])
async def test_a_head_that_is_not_complete_in_time_ends_the_connection(sent: bytes) -> None:
    async with serving_app() as place:
        peer = await place.peer()
        peer.send(sent)
        assert DEADLINE / 2 < await peer.closed() < 3


@pytest.mark.parametrize("head", [GET % b"hello", UPGRADE])
async def test_a_head_that_comes_byte_by_byte_ends_the_connection(head: bytes) -> None:
    async with serving_app() as place:
        peer = await place.peer()
        began = anyio.current_time()
        with contextlib.suppress(OSError):
            for byte in head * 20:
                peer.send(bytes([byte]))
                await anyio.sleep(0.02)
                if peer.reader.at_eof() or peer.reader.exception():
                    break
        await peer.closed()
        assert anyio.current_time() - began < 3


async def test_a_byte_after_an_answer_does_not_keep_the_connection() -> None:
    async with serving_app() as place:
        peer = await place.peer()
        assert b"hello" in await peer.request(GET % b"hello")
        peer.send(b"G")
        assert await peer.closed() < 3


async def test_requests_follow_each_other_on_one_connection() -> None:
    async with serving_app() as place:
        peer = await place.peer()
        for _ in range(4):
            assert b"hello" in await peer.request(GET % b"hello")
            await anyio.sleep(DEADLINE * 0.6)  # together longer than the deadline of one head
        assert b"hello" in await peer.request(b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc")


async def test_a_body_that_goes_on_after_its_answer_is_not_read() -> None:
    async with serving_app() as place:
        peer = await place.peer()
        answer = await peer.request(b"POST /ignore HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b"ignored" in answer  # it was heard, before the end
        part = b"ffff\r\n" + bytes(0xFFFF) + b"\r\n"
        sent = 0
        with anyio.fail_after(5), contextlib.suppress(OSError):
            while True:
                peer.send(part)
                await peer.writer.drain()
                sent += len(part)
        assert sent < 50_000_000


async def test_answers_that_are_not_read_end_the_connection() -> None:
    async with serving_app() as place:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", place.port))
            peer.setblocking(False)
            requests, at = GET % b"long" * 1000, 0
            with anyio.fail_after(10), contextlib.suppress(ConnectionError):
                while True:
                    with contextlib.suppress(BlockingIOError):
                        at = (at + peer.send(requests[at:])) % len(requests)
                    await anyio.sleep(0.001)


@pytest.mark.parametrize(
    "odd",
    [
        UPGRADE.replace(b"/media", b"/media?" + b"a" * 10_000),
        UPGRADE.replace(b"Host: here", b"Host: here\r\nX-Long: " + b"a" * 10_000),
        UPGRADE.replace(b"Host: here", b"Host: here" + b"".join(b"\r\nX-%d: a" % number for number in range(200))),
        UPGRADE.replace(b"Host: here", b"Host: here\r\nContent-Length: 100"),
    ],
    ids=["a long path", "a long header", "many headers", "a body"],
)
async def test_an_upgrade_that_cannot_be_read_is_refused(odd: bytes) -> None:
    async with serving_app() as place:
        peer = await place.peer()
        assert b" 400 " in await peer.request(odd)
        assert await peer.closed() < 3


# --- how many --------------------------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_HEAD_DEADLINE", 30.0)
    monkeypatch.setattr(serving, "room_in", lambda descriptors: Room(descriptors, calls=100, connections=6))
    return 6


async def test_of_too_many_connections_that_say_nothing_the_oldest_are_shed(few: int) -> None:
    async with serving_app() as place:
        media = await place.media()
        carriers = await place.peer()
        assert b"proven" in await carriers.request(GET % b"proven")
        strangers = [await place.peer() for _ in range(30)]
        await anyio.sleep(0.1)
        fresh = await place.peer()
        assert b"hello" in await fresh.request(GET % b"hello")
        await until(lambda: all(stranger.is_closed for stranger in strangers[: 30 - few]), within=5)
        assert b"proven" in await carriers.request(GET % b"proven")  # which the carrier has signed: it stays
        await media.frame(TEXT, b"still here")
        assert await media.reader.readexactly(12) == b"\x81\nstill here"


async def test_a_request_in_progress_keeps_no_connection(few: int) -> None:
    async with serving_app() as place:
        for _ in range(5 * few):
            stranger = await place.peer()
            stranger.send(b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n")
        await anyio.sleep(0.1)
        fresh = await place.peer()
        assert b"proven" in await fresh.request(GET % b"proven")


# --- media sockets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PING, PONG, CONTINUED])
async def test_a_flood_of_frames_that_carry_nothing_ends_the_socket(kind: int) -> None:
    async with serving_app() as place:
        peer = await place.media()
        await peer.frame(TEXT & 0x7F, b"the first part")
        one = bytes([kind, 0x80]) + bytes(4)
        sent = 0
        with anyio.fail_after(5), contextlib.suppress(OSError):
            while not peer.reader.exception() and not peer.reader.at_eof():
                peer.send(one * 1000)
                await peer.writer.drain()
                await anyio.lowlevel.checkpoint()
                sent += 1000
        assert sent < 200_000


async def test_pings_that_come_now_and_then_are_answered() -> None:
    async with serving_app() as place:
        peer = await place.media()
        for _ in range(50):
            await peer.frame(PING, b"abcd")
            assert await peer.reader.readexactly(6) == b"\x8a\x04abcd"
        await peer.frame(TEXT & 0x7F, b"two ")
        await peer.frame(0x80, b"parts")
        assert await peer.reader.readexactly(11) == b"\x81\ttwo parts"


async def test_a_burst_of_messages_arrives_whole_and_in_order() -> None:
    async with serving_app() as place:
        peer = await place.media()
        texts = [b"%06d" % number for number in range(5_000)]
        peer.send(b"".join(bytes([TEXT, 0x80 | 6]) + bytes(4) + text for text in texts))
        assert await peer.reader.readexactly(8 * len(texts)) == b"".join(b"\x81\x06" + text for text in texts)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_peer_that_reads_nothing_is_given_up_when_its_call_is_over() -> None:
    async with serving_app() as place:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", place.port))
            what = b"flood and be over"
            peer.sendall(UPGRADE)
            await asyncio.to_thread(peer.recv, 100)
            open_before = descriptors()
            peer.sendall(bytes([TEXT, 0x80 | len(what)]) + bytes(4) + what)
            await until(lambda: descriptors() < open_before, within=5)  # ours is still there


async def test_a_peer_that_reads_no_pongs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONTROL_FRAMES", 1_000_000)
    async with serving_app() as place:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", place.port))
            peer.sendall(UPGRADE)
            peer.setblocking(False)
            pings = (bytes([PING, 0x80 | 125]) + bytes(4 + 125)) * 1000
            at = 0
            with anyio.fail_after(10), contextlib.suppress(ConnectionError):
                while True:
                    with contextlib.suppress(BlockingIOError):
                        at = (at + peer.send(pings[at:])) % len(pings)
                    await anyio.lowlevel.checkpoint()


async def test_a_peer_that_does_not_close_is_given_up_when_its_call_is_over() -> None:
    async with serving_app() as place:
        peer = await place.media()
        await peer.frame(TEXT, b"over")
        assert await peer.closed() < 3
