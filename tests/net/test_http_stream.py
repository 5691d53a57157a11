"""Answers that are read as they come: bytes at once, connections that are kept or given up, errors of both sides."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import anyio.abc
import pytest

from patter_core.net.http import HttpStream, open_stream
from tests.net.peers import both_loops

pytestmark = [pytest.mark.anyio, both_loops]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

Answer = Callable[[anyio.abc.SocketStream], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer:
    """A server that answers each request by what a test writes."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.url = ""
        self.connections = 0
        self.closed = anyio.Event()
        """A client has closed its connection."""

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        received += await stream.receive()
                    await self._answer(stream)
        self.closed.set()


@contextlib.asynccontextmanager
async def peer(answer: Answer) -> AsyncIterator[Peer]:
    served = Peer(answer)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, served.serve)
        served.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/"
        with anyio.fail_after(20):
            yield served
        tasks.cancel_scope.cancel()


async def two_pieces(stream: anyio.abc.SocketStream) -> None:
    await stream.send(HEAD + chunk(b"one"))
    await stream.send(chunk(b"two") + END)


async def stall(stream: anyio.abc.SocketStream) -> None:
    await stream.send(HEAD + chunk(b"one"))
    await stream.receive()  # nothing: until the client hangs up


async def read_all(stream: HttpStream) -> bytes:
    body = b""
    while received := await stream.read():
        body += received
    return body


async def test_bytes_come_before_the_body_is_complete() -> None:
    go_on = anyio.Event()

    async def slowly(stream: anyio.abc.SocketStream) -> None:
        await stream.send(HEAD + chunk(b"one"))
        await go_on.wait()
        await stream.send(chunk(b"two") + END)

    async with peer(slowly) as served, open_stream("POST", served.url, headers={}) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert await stream.read() == b"one"
        go_on.set()
        assert await stream.read() == b"two"
        assert await stream.read() == b""
        assert await stream.read() == b""


async def test_a_connection_is_kept_after_the_whole_body_only() -> None:
    async with peer(two_pieces) as served:
        for _ in range(3):
            async with open_stream("POST", served.url, headers={}) as stream:
                assert await read_all(stream) == b"onetwo"
        assert served.connections == 1
        async with open_stream("POST", served.url, headers={}) as stream:
            pass
        await served.closed.wait()
        async with open_stream("POST", served.url, headers={}) as stream:
            assert await read_all(stream) == b"onetwo"
        assert served.connections == 2


async def test_a_connection_is_kept_as_long_as_the_caller_says() -> None:
    async with peer(two_pieces) as served:
        for kept, connections in ((30.0, 1), (30.0, 1), (0.01, 2), (0.01, 3)):
            async with open_stream("POST", served.url, headers={}, kept_idle=kept) as stream:
                await read_all(stream)
            assert served.connections == connections
            await anyio.sleep(0.05)


async def test_a_read_that_is_cancelled_closes_the_connection() -> None:
    async with peer(stall) as served, open_stream("POST", served.url, headers={}) as stream:
        assert await stream.read() == b"one"
        with anyio.move_on_after(0.05) as scope:
            await stream.read()
        assert scope.cancelled_caught
        await served.closed.wait()


async def test_the_peers_silence_and_its_end_are_errors() -> None:
    async def hang_up(stream: anyio.abc.SocketStream) -> None:
        await stream.send(HEAD + chunk(b"one"))
        await stream.aclose()

    async with peer(stall) as served, open_stream("POST", served.url, headers={}, answer_timeout=0.1) as stream:
        assert await stream.read() == b"one"
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await stream.read()
        assert time.monotonic() - began < 5
    async with peer(hang_up) as served, open_stream("POST", served.url, headers={}) as stream:
        assert await stream.read() == b"one"
        with pytest.raises(ConnectionResetError):
            await stream.read()


async def test_an_error_of_the_reader_is_left_as_it_is_and_closes_the_connection() -> None:
    async def fail(url: str) -> None:
        async with open_stream("POST", url, headers={}) as stream:
            assert await stream.read() == b"one"
            raise ValueError("of the reader")

    async with peer(stall) as served:
        with pytest.raises(ValueError, match="of the reader"):
            await fail(served.url)
        await served.closed.wait()


async def test_a_peer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        async with open_stream("POST", "http://127.0.0.1:1/", headers={}):
            raise AssertionError
