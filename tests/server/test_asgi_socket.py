"""A WebSocket of an ASGI server: what the handler is given, how it is closed, and what a gone peer looks like."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import anyio.lowlevel
import pytest
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from patter_core.server.asgi_socket import AsgiSocket
from patter_core.server.serving import serve_app
from patter_core.transport import Message, Socket
from tests.polling import until

pytestmark = pytest.mark.anyio


class Server:
    """The server's side of one socket: what the peer sends is there at once, and the test sees what is sent."""

    def __init__(self, *messages: Message) -> None:
        self.sent: list[AsgiMessage] = []
        self.fault: Exception | None = None
        """What it raises at each send."""
        self.gate: asyncio.Event | None = None
        """Until it is set, a send waits."""
        self._queue: asyncio.Queue[AsgiMessage] = asyncio.Queue()
        for message in messages:
            self.give(message)

    def give(self, message: Message) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        self._queue.put_nowait({"type": "websocket.receive", kind: message})

    def leave(self) -> None:
        self._queue.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def receive(self) -> AsgiMessage:
        return await self._queue.get()

    async def send(self, message: AsgiMessage) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.sent.append(dict(message))

    def socket(self) -> AsgiSocket:
        return AsgiSocket(self.receive, self.send)


class Handler:
    """Notes what it is called with. `act` is done with each message."""

    def __init__(self, act: Callable[[Socket, Message], None] | None = None) -> None:
        self.calls: list[Message | None] = []
        """Messages; None: closed."""
        self.socket: Socket | None = None
        self._act = act

    def opened(self, socket: Socket) -> None:
        self.socket = socket

    def message(self, message: Message) -> None:
        self.calls.append(message)
        if self._act is not None and self.socket is not None:
            self._act(self.socket, message)

    def closed(self) -> None:
        self.calls.append(None)


def close(socket: Socket, _: Message) -> None:
    socket.close(4000, "enough")


def pause(socket: Socket, _: Message) -> None:
    socket.pause_reading()


def fail(_socket: Socket, _message: Message) -> None:
    raise ZeroDivisionError


# --- reading ----------------------------------------------------------------------------------------------------------


async def test_what_was_put_back_comes_first_and_once() -> None:
    server = Server("hello", "one", b"two")
    socket, handler = server.socket(), Handler()
    hello = await socket.first()
    assert hello == "hello"
    socket.put_back(hello)
    server.leave()
    await socket.serve(handler)
    assert handler.calls == ["hello", "one", b"two", None]


async def test_an_empty_message_is_one_and_keeps_its_kind() -> None:
    server = Server("", b"")
    server.leave()
    handler = Handler()
    await server.socket().serve(handler)
    assert handler.calls == ["", b"", None]


async def test_a_peer_that_left_before_its_first_message_has_none() -> None:
    server = Server()
    server.leave()
    assert await server.socket().first() is None


@pytest.mark.parametrize("put_back", [False, True])
async def test_a_handler_that_pauses_is_given_nothing_until_it_resumes(put_back: bool) -> None:
    server, handler = Server("one", "two", "three"), Handler(pause)
    socket = server.socket()
    if put_back:
        first = await socket.first()
        assert first is not None
        socket.put_back(first)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(socket.serve, handler)
        for said in (["one"], ["one", "two"]):
            await anyio.wait_all_tasks_blocked()
            assert handler.calls == said
            socket.resume_reading()
        await anyio.wait_all_tasks_blocked()
        socket.close()  # also while it is paused
    assert handler.calls == ["one", "two", "three", None]


# --- its end ----------------------------------------------------------------------------------------------------------


async def test_a_handler_that_closes_is_given_nothing_more_though_it_is_there() -> None:
    server, handler = Server("one", "two", "three"), Handler(close)
    await server.socket().serve(handler)
    assert handler.calls == ["one", None]
    assert server.sent == [{"type": "websocket.close", "code": 4000, "reason": "enough"}]


async def test_it_can_be_closed_from_elsewhere_and_the_first_reason_counts() -> None:
    server, handler = Server(), Handler()
    socket = server.socket()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(socket.serve, handler)
        await anyio.wait_all_tasks_blocked()
        socket.close(1008, "first")
        socket.close(1000, "second")
    assert handler.calls == [None]
    assert server.sent == [{"type": "websocket.close", "code": 1008, "reason": "first"}]


async def test_a_handler_that_raises_is_told_once_that_it_is_closed_and_its_error_is_raised() -> None:
    server, handler = Server("one", "two"), Handler(fail)
    with pytest.raises(ZeroDivisionError):
        await server.socket().serve(handler)
    assert handler.calls == ["one", None]
    assert [message["type"] for message in server.sent] == ["websocket.close"]


async def test_a_server_that_cancels_is_a_connection_that_is_gone() -> None:
    server, handler = Server(), Handler()
    with anyio.move_on_after(0.01) as scope:
        await server.socket().serve(handler)
    assert scope.cancelled_caught
    assert handler.calls == [None]


@pytest.mark.parametrize("fault", [ConnectionResetError(), RuntimeError("after sending 'websocket.close'")], ids=repr)
async def test_a_goodbye_to_a_peer_that_is_gone_raises_nothing(fault: Exception) -> None:
    server, handler = Server("one"), Handler(close)
    server.fault = fault
    await server.socket().serve(handler)
    assert handler.calls == ["one", None]


@contextlib.contextmanager
def gone() -> Iterator[None]:
    """Inside, `Socket` says that the connection is gone."""
    try:
        yield
    except OSError:
        return
    pytest.fail("the connection is not gone")


# --- sending ----------------------------------------------------------------------------------------------------------


async def test_what_the_server_takes_at_once_needs_no_task() -> None:
    server = Server()
    socket = server.socket()
    assert socket.send("text") is None
    assert socket.send(b"binary") is None
    assert server.sent == [
        {"type": "websocket.send", "text": "text"},
        {"type": "websocket.send", "bytes": b"binary"},
    ]


@pytest.mark.parametrize("fault", [ConnectionResetError(), RuntimeError("after sending 'websocket.close'")], ids=repr)
async def test_a_connection_that_is_gone_is_an_os_error_at_once_and_later(fault: Exception) -> None:
    server = Server()
    server.fault = fault
    with gone():
        server.socket().send("text")
    server.gate = asyncio.Event()
    rest = server.socket().send("text")
    assert rest is not None
    server.gate.set()
    with gone():
        await rest


async def test_a_message_that_is_not_waited_for_any_more_is_dropped_without_a_word() -> None:
    server = Server()
    server.gate = asyncio.Event()
    rest = server.socket().send("text")
    assert rest is not None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del rest
        gc.collect()
    assert said == []


# --- over the network -------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def served(handler: Handler, *, accepts: bool = True) -> AsyncIterator[str]:
    """A server whose sockets are the handler's, or are refused."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":  # its lifespan
            return
        await receive()
        socket = AsgiSocket(receive, send)
        if accepts:
            await send({"type": "websocket.accept"})
            await socket.serve(handler)
        else:
            await socket.shut(1008)

    with anyio.fail_after(20):
        async with serve_app(app) as url:
            yield url.replace("http", "ws")


async def closed_with(client: ClientConnection) -> tuple[int | None, str | None]:
    with contextlib.suppress(ConnectionClosed):
        await client.recv()
    return client.close_code, client.close_reason


def echo(socket: Socket, message: Message) -> None:
    assert socket.send(message) is None


async def test_text_and_binary_keep_their_kind_both_ways() -> None:
    handler = Handler(echo)
    async with served(handler) as url, connect(url) as client:
        for message in ("ä", b"\xff\x00"):
            await client.send(message)
            assert await client.recv() == message
    assert handler.calls == ["ä", b"\xff\x00", None]


async def test_the_peer_is_told_why_it_is_closed() -> None:
    async with served(Handler(close)) as url, connect(url) as client:
        await client.send("one")
        assert await closed_with(client) == (4000, "enough")


async def test_a_socket_that_is_shut_before_it_is_accepted_is_a_403() -> None:
    async with served(Handler(), accepts=False) as url:
        with pytest.raises(InvalidStatus) as caught:
            await connect(url)
        assert caught.value.response.status_code == 403


async def test_a_peer_that_pauses_us_and_leaves_while_we_send_is_an_os_error() -> None:
    handler = Handler()
    async with served(handler) as url:
        client = await connect(url, max_queue=1)
        await client.send("one")
        await until(lambda: bool(handler.calls))
        assert handler.socket is not None
        rest = None
        for _ in range(1_000):
            rest = handler.socket.send(b"x" * 60_000)
            if rest is not None:
                break
        assert rest is not None, "the peer reads nothing, and all was taken"
        client.transport.abort()
        with gone():
            await rest
            for _ in range(10_000):  # or the server notices it later
                await anyio.lowlevel.checkpoint()
                await (handler.socket.send(b"x") or asyncio.sleep(0))
    assert handler.calls == ["one", None]
