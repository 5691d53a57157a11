"""What `check_transport` tries at the side of a carrier: a media socket that the transport has taken over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import cast

from starlette.types import Receive, Scope, Send

from patter_core.net.transport import Transport
from patter_core.server.asgi_socket import AsgiSocket
from patter_core.server.handed_socket import TAKE_OVER, HandedSocket
from patter_core.server.serving import serve_app
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.transport_client import WRONG
from patter_core.testing.conformance.transport_peer import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawPeer, dialled
from patter_core.transport import Message, Socket

__all__ = ["check_server"]

_WITHIN = 5.0
_MAX_SIZE = 100_000
_UMLAUT = "ü".encode()


class _Handler:
    """Keeps what comes; `act` is called with each message."""

    def __init__(self, act: Callable[[_Handler, Message], None]) -> None:
        self.messages: list[Message] = []
        self.calls: list[str] = []
        self.error: BaseException | None = None
        self.over = asyncio.Event()
        self.socket: Socket | None = None
        self._act = act

    @property
    def open_socket(self) -> Socket:
        """The socket, after `opened`."""
        assert self.socket is not None  # as it says
        return self.socket

    def opened(self, socket: Socket) -> None:
        self.socket = socket
        self.calls.append("opened")

    def message(self, message: Message) -> None:
        self.messages.append(message)
        self._act(self, message)

    def closed(self) -> None:
        self.calls.append("closed")


def _nothing(_handler: _Handler, _message: Message) -> None:
    """Only keeps it."""


class _App:
    """Accepts each socket, on the transport where it takes media sockets over."""

    def __init__(self, transport: Transport, act: Callable[[_Handler, Message], None]) -> None:
        self.handlers: list[_Handler] = []
        self._transport = transport
        self._act = act

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        handler = _Handler(self._act)
        self.handlers.append(handler)
        await receive()
        socket: AsgiSocket | HandedSocket | None = HandedSocket.accept(
            scope["extensions"][TAKE_OVER], self._transport, "a"
        )
        if socket is None:
            await send({"type": "websocket.accept", "subprotocol": "a"})
            socket = AsgiSocket(receive, send, subprotocol="a")
        try:
            await socket.serve(handler)
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            handler.error = error
        finally:
            handler.over.set()


@contextlib.asynccontextmanager
async def _served(
    transport: Transport, act: Callable[[_Handler, Message], None] = _nothing
) -> AsyncIterator[tuple[_App, RawPeer, str]]:
    app = _App(transport, act)
    async with serve_app(app, max_message=_MAX_SIZE) as url:
        peer = await dialled(url)
        try:
            yield app, peer, url
        finally:
            peer.close()


async def check_server(check: Check, transport: Transport) -> None:
    """Tries all of it.

    Raises:
        ConformanceError: the transport is wrong.
    """
    await _messages(check, transport)
    for what, code, frames in WRONG:
        check.now(f"a carrier that sends {what}")
        await _wrong(check, transport, code, frames)
    await _ends(check, transport)
    await _slow_peer(check, transport)
    await _stop(check, transport)
    await _pauses(check, transport)
    await _floods(check, transport)
    await _faults(check, transport)


async def _messages(check: Check, transport: Transport) -> None:
    check.now("messages of a carrier")
    sizes = (0, 1, 125, 126, 127, 65_535, 65_536, _MAX_SIZE)

    def echo(handler: _Handler, message: Message) -> None:
        check.require(handler.open_socket.send(message) is None, "A message is not taken by a peer that reads.")

    async with _served(transport, echo) as (app, peer, _):
        got: list[bytes] = []
        kinds: list[int] = []
        with check.within(_WITHIN, "Messages do not arrive."):
            for size in sizes:
                peer.send(TEXT, b"x" * size)
                frame = await peer.next()
                got.append(frame.payload if frame else b"nothing")
            peer.send(BINARY, b"\xff\x00")
            peer.send(TEXT, _UMLAUT[:1], fin=False)
            peer.send(PING, b"still there")
            peer.send(CONT, _UMLAUT[1:])
            rest = [await peer.next() for _ in range(3)]
            rest.sort(key=lambda frame: frame is not None and frame.kind == PONG)  # which may come before
            kinds = [frame.kind for frame in rest if frame]
        check.require(got == [b"x" * size for size in sizes], "A message arrives altered.")
        check.require(kinds == [BINARY, TEXT, PONG], "What comes back is of another kind.", got=str(kinds))
        check.require(rest[2] and rest[2].payload == b"still there", "A pong has another payload than its ping.")
        check.require(app.handlers[0].messages[-2:] == [b"\xff\x00", "ü"], "A message is of another type.")
        accepted = peer.request.lower()
        check.require(b"sec-websocket-protocol: a\r\n" in accepted, "The subprotocol is not selected.")


async def _wrong(check: Check, transport: Transport, code: int, frames: Callable[[RawPeer], bytes]) -> None:
    async with _served(transport) as (app, peer, _):
        peer.writer.write(frames(peer))
        with check.within(_WITHIN, "The connection stays open."):
            frame = await peer.until(CLOSE)
            await app.handlers[0].over.wait()
        got = 0 if frame is None else frame.code
        check.require(got == code, "The carrier is told another close code.", expected=str(code), got=str(got))
        check.require(not app.handlers[0].messages, "It is passed on.", got=str(app.handlers[0].messages)[:60])
        check.require(app.handlers[0].calls == ["opened", "closed"], "The handler is not told the end once.")


async def _ends(check: Check, transport: Transport) -> None:
    check.now("a carrier that closes")
    async with _served(transport) as (app, peer, _):
        peer.send(TEXT, b"last")
        peer.send(CLOSE, b"\x03\xe8")
        with check.within(_WITHIN, "The end is not told."):
            frame = await peer.until(CLOSE)
            await app.handlers[0].over.wait()
        check.require(frame is not None and frame.code == 1000, "A close frame is not answered with its code.")
        check.require(app.handlers[0].messages == ["last"], "The last message is lost.")
        check.require(app.handlers[0].calls == ["opened", "closed"], "The handler is not told the end once.")
        with check.within(_WITHIN, "The connection stays open after both close frames."):
            await peer.until(CLOSE)
    check.now("a carrier that is gone")
    async with _served(transport) as (app, peer, _):
        peer.send(TEXT, b"last")
        await asyncio.sleep(0.05)
        peer.close()
        handler = app.handlers[0]
        with check.within(_WITHIN, "The end is not told."):
            await handler.over.wait()
        await _gone(check, handler.open_socket)
    check.now("a handler that closes")
    async with _served(transport, lambda handler, _: handler.open_socket.close(4000, "enough")) as (app, peer, _):
        peer.send(TEXT, b"one")
        peer.send(TEXT, b"two")
        with check.within(_WITHIN, "It is not closed."):
            frame = await peer.until(CLOSE)
            await app.handlers[0].over.wait()
        check.require(frame and frame.payload == b"\x0f\xa0enough", "The code or the reason is another one.")
        check.require(app.handlers[0].messages == ["one"], "A message follows after `close`.")
        check.require(app.handlers[0].calls == ["opened", "closed"], "The handler is not told the end once.")


async def _gone(check: Check, socket: Socket) -> None:
    with check.raises_only(OSError, problem="Sending on a connection that is gone raises no OSError."):
        for _ in range(3):
            waits = socket.send("after the end")
            if waits is not None:
                await waits
        raise check.failed("A message is taken for a connection that is gone.")


async def _slow_peer(check: Check, transport: Transport) -> None:
    check.now("a carrier that does not read")
    async with _served(transport) as (app, peer, _):
        await asyncio.sleep(0.05)
        socket, sent, waits = app.handlers[0].open_socket, 0, None
        while waits is None and sent < 1_000_000:
            waits = socket.send(f"{sent:<1000}")
            sent += 1
        check.require(waits is not None, "Sending never has to wait.", mistake="`pause_writing` is ignored")

        async def read() -> list[int]:
            frames = [await peer.next() for _ in range(sent)]
            return [int(frame.payload) for frame in frames if frame]

        reading = asyncio.ensure_future(read())
        with check.within(_WITHIN, "It does not go on when the carrier reads."):
            if waits is not None:
                await waits
            numbers = await reading
        check.require(numbers == [*range(sent)], "Messages are lost, or out of order.")
        waits = None
        while waits is None:
            waits = socket.send("x" * 1000)
        peer.writer.transport.abort()
        with (
            check.within(_WITHIN, "Waiting goes on though the carrier is gone."),
            check.raises_only(OSError, problem="Waiting for a carrier that is gone raises no OSError."),
        ):
            await waits
            raise check.failed("A message is taken for a carrier that is gone.")


async def _sent(socket: Socket) -> None:
    waits = socket.send("x" * 1000)
    if waits is not None:
        await waits


async def _stop(check: Check, transport: Transport) -> None:
    check.now("a server that stops beside a carrier that does not read")
    app = _App(transport, _nothing)
    async with serve_app(app) as url:
        peer = await dialled(url)
        await asyncio.sleep(0.05)
        connection = cast("asyncio.Transport", peer.writer.transport)
        connection.pause_reading()
        with contextlib.suppress(TimeoutError):  # the system takes some megabytes, then nothing more
            while True:
                await asyncio.wait_for(_sent(app.handlers[0].open_socket), 0.5)
    connection.resume_reading()
    with check.within(_WITHIN, "The connection stays open though the server is gone."):
        frame = await peer.until(CLOSE)  # what the system had taken is there yet
    check.require(frame is None, "What was not sent is sent though the server is gone.")
    check.require(app.handlers[0].calls == ["opened", "closed"], "The handler is not told the end once.")
    peer.close()


async def _pauses(check: Check, transport: Transport) -> None:
    check.now("a handler that pauses reading")

    def pause(handler: _Handler, _: Message) -> None:
        if len(handler.messages) in {1, 50}:
            handler.open_socket.pause_reading()

    async with _served(transport, pause) as (app, peer, _):
        total = 20_000
        writing = asyncio.ensure_future(_pour(peer, [b"%-1000d" % number for number in range(total)]))
        await asyncio.sleep(0.2)
        handler = app.handlers[0]
        check.require(len(handler.messages) == 1, "Messages follow after `pause_reading`.")
        check.require(not writing.done(), "What is not wanted is read all the same.")
        handler.open_socket.resume_reading()
        await asyncio.sleep(0.2)
        check.require(len(handler.messages) == 50, "Messages follow after a second `pause_reading`.")
        handler.open_socket.resume_reading()
        with check.within(2 * _WITHIN, "Messages are lost."):
            while len(handler.messages) < total:  # noqa: ASYNC110 - the handler is called by the loop
                await asyncio.sleep(0.01)
            await writing
        check.require([int(one) for one in handler.messages] == [*range(total)], "Messages are out of order.")


async def _pour(peer: RawPeer, messages: list[bytes]) -> None:
    for message in messages:
        peer.send(TEXT, message)
        await peer.drain()


async def _floods(check: Check, transport: Transport) -> None:
    for what, kind in (("pings", PING), ("pongs", PONG)):
        check.now(f"a carrier that floods the socket with {what}")
        async with _served(transport) as (app, peer, _):
            for _ in range(1000):
                peer.send(kind)
            with check.within(_WITHIN, "The connection stays open.", mistake="`SocketLimits.control_frames`"):
                await app.handlers[0].over.wait()
    check.now("a carrier that floods the socket with messages")
    async with _served(transport) as (app, peer, _):
        peer.send(TEXT, b"x" * _MAX_SIZE)  # it makes a read buffer grow
        await asyncio.sleep(0.1)
        flood = peer.frame(TEXT, b"") * 200_000
        peer.writer.write(flood)
        loop, longest = asyncio.get_running_loop(), 0.0
        with check.within(4 * _WITHIN, "Messages are lost."):
            while len(app.handlers[0].messages) < 200_001:
                due = loop.time() + 0.005
                await asyncio.sleep(0.005)
                longest = max(longest, loop.time() - due)
        check.require(longest < 0.5 * check.patience, "It holds up the event loop.", got=f"{longest:.2f} s")


async def _faults(check: Check, transport: Transport) -> None:
    check.now("a handler that raises")

    def fail(_: _Handler, message: Message) -> None:
        if message == "now":
            raise SystemExit(3)

    async with _served(transport, fail) as (app, peer, url):
        other = await dialled(url)
        peer.send(TEXT, b"now")
        with check.within(_WITHIN, "Its socket stays open."):
            await app.handlers[0].over.wait()
            frame = await peer.until(CLOSE)
        check.require(frame is not None and frame.code == 1011, "The carrier is told another code than 1011.")
        check.require(app.handlers[0].error is not None, "Its error is not passed on.")
        check.require(app.handlers[0].calls == ["opened", "closed"], "The handler is not told the end once.")
        other.send(TEXT, b"sound")
        with check.within(_WITHIN, "Another socket has no messages any more."):
            while not app.handlers[1].messages:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        other.close()
