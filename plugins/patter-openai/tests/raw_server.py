"""A server that writes to each connection what a test says, for what no emulator does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import anyio.abc

__all__ = ["HEAD", "RawServer", "chunked", "raw_server"]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

Write = Callable[[anyio.abc.SocketStream], Awaitable[None]]


def chunked(data: bytes) -> bytes:
    """Returns the data as a chunk of a body; the last one if it is empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class RawServer:
    """A server that answers each request by the next of these functions, and by the last one from then on."""

    def __init__(self, *writes: Write) -> None:
        self._writes = list(writes)
        self.base_url = ""
        self.requests = 0
        self.closed = 0
        """Connections that are no longer open."""

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    await _request(stream)
                    self.requests += 1
                    await (self._writes.pop(0) if len(self._writes) > 1 else self._writes[0])(stream)
        self.closed += 1


async def _request(stream: anyio.abc.SocketStream) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.split(b":", 1) for line in head.lower().split(b"\r\n") if b":" in line)
    length = int(fields.get(b"content-length", b"0"))
    while len(body) < length:
        body += await stream.receive()


@contextlib.asynccontextmanager
async def raw_server(*writes: Write) -> AsyncIterator[RawServer]:
    """Serves on a loopback port while the context lasts, for 30 s at most."""
    served = RawServer(*writes)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, served.serve)
        served.base_url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/v1"
        with anyio.fail_after(30):
            yield served
        tasks.cancel_scope.cancel()
