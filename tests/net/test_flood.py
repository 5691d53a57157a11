"""An engine that sends more than speech needs: what it costs the event loop is bounded, and it is given up."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import anyio
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from patter_core.errors import SocketClosed
from patter_core.net import client_link
from patter_core.net.budget import Budget
from patter_core.net.websocket import EngineSocket
from tests.net.peers import both_loops

pytestmark = pytest.mark.anyio

PATIENCE = 1.0
FLOODS = {
    "pings": (b"", b"\x89\x00"),
    "empty continuations": (b"\x01\x00", b"\x00\x00"),
    "short messages": (b"", b"\x81\x01x"),
}


@contextlib.contextmanager
def peer(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    """A server in threads of its own: it does not wait for the loop that it floods."""
    connections: list[ServerConnection] = []

    def handle(connection: ServerConnection) -> None:
        connections.append(connection)
        with contextlib.suppress(OSError, ConnectionClosed):
            handler(connection)

    with serve(handle, "127.0.0.1", 0, close_timeout=0.1) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        finally:
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.socket.shutdown(socket.SHUT_RDWR)
            server.shutdown()
            thread.join()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_link, "Budget", functools.partial(Budget, patience=PATIENCE))


async def longest_lag(until: anyio.Event) -> float:
    """The most that a callback of this loop has waited for its turn, in s."""
    longest, loop = 0.0, asyncio.get_running_loop()
    while not until.is_set():
        due = loop.time() + 0.005
        await asyncio.sleep(0.005)
        longest = max(longest, loop.time() - due)
    return longest


@both_loops
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("piece", [2, 1_000_000])
async def test_a_flood_is_slowed_then_closed_and_holds_up_no_neighbour(
    flood: str, piece: int, caplog: pytest.LogCaptureFixture
) -> None:
    begin, frame = FLOODS[flood]
    over, messages, closed = anyio.Event(), 0, SocketClosed(0)

    def pour(connection: ServerConnection) -> None:
        connection.socket.sendall(begin)
        while True:
            connection.socket.sendall(frame * max(1, piece // len(frame)))

    def count(_: bytes) -> None:
        nonlocal messages
        messages += 1

    def end(error: SocketClosed) -> None:
        nonlocal closed
        closed = error
        over.set()

    with peer(pour) as url:
        opened = await EngineSocket.open(url)
        opened.deliver(count, end)
        began = asyncio.get_running_loop().time()
        with anyio.fail_after(20):
            lag = await longest_lag(over)
        took = asyncio.get_running_loop().time() - began
        await opened.aclose()
    assert closed.code == 1008
    assert took >= PATIENCE
    assert lag < 1.5  # beside busy processes; it was many seconds
    assert messages < 3 * 2000 + 200 * took
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "read more slowly" in warnings[0].getMessage()


@both_loops
@pytest.mark.parametrize("delivered", [False, True])
@pytest.mark.parametrize("length", [1, 3000, 50_000])
async def test_what_is_read_in_pieces_and_with_pauses_arrives_whole_and_in_order(
    length: int, monkeypatch: pytest.MonkeyPatch, *, delivered: bool
) -> None:
    monkeypatch.setattr(client_link, "Budget", functools.partial(Budget, messages=2000, size=4e7, burst=0.1))
    sent = [f"{index} ".encode() + b"x" * length for index in range(1000)]
    got: list[bytes] = []
    over = anyio.Event()

    def talk(connection: ServerConnection) -> None:
        for message in sent:
            connection.send(message)

    with peer(talk) as url:
        opened = await EngineSocket.open(url)
        with anyio.fail_after(20):
            if delivered:
                opened.deliver(got.append, lambda _closed: over.set())
                await over.wait()
            else:
                with contextlib.suppress(SocketClosed):
                    while True:
                        got.append(await opened.receive())
        await opened.aclose()
    assert got == sent


@both_loops
async def test_half_a_minute_of_speech_at_once_is_not_slowed(caplog: pytest.LogCaptureFixture) -> None:
    got: list[bytes] = []
    over = anyio.Event()

    def talk(connection: ServerConnection) -> None:
        for _ in range(1500):
            connection.send(b"x" * 1400)

    with peer(talk) as url:
        opened = await EngineSocket.open(url)
        opened.deliver(got.append, lambda _closed: over.set())
        with anyio.fail_after(10):
            await over.wait()
        await opened.aclose()
    assert len(got) == 1500
    assert not caplog.records


@both_loops
@pytest.mark.usefixtures("impatient")
async def test_a_flood_does_not_keep_a_socket_from_closing() -> None:
    def pour(connection: ServerConnection) -> None:
        while True:
            connection.socket.sendall(b"\x89\x00" * 10_000)

    with peer(pour) as url:
        for pause in (0.0, 0.1, 0.4):
            opened = await EngineSocket.open(url)
            await anyio.sleep(pause)
            with anyio.fail_after(3):
                await opened.aclose()
