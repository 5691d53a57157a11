"""What clients meet on the way: name servers that hang, addresses that lead nowhere, proxies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Self

import pytest

both_loops = pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)

_look_up = socket.getaddrinfo


class Names:
    """A resolver: of names that are told to it, of names that hang, and of addresses."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.hanging: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.go_on = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()

    def look_up(
        self, host: str, port: int | None, *arguments: int, **options: int
    ) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
        """As `socket.getaddrinfo`."""
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            return list(_look_up(host, port, *arguments, **options))
        self.asked[host] += 1
        if host in self.hanging:
            self.go_on.wait(60)
        known = self.addresses.get(host, [])
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [found for address in known for found in _look_up(address, port, *arguments, **options)]


@contextlib.contextmanager
def black_hole(port: int) -> Iterator[str]:
    """An address at which nothing answers on that port, as where IPv6 leads nowhere: its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as filled:
        listener.bind(("127.0.0.2", port))
        listener.listen(0)
        for _ in range(4):
            queued = filled.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(("127.0.0.2", port))
        yield "127.0.0.2"


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies what comes to what goes out, until either end is closed."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class HttpProxy:
    """An HTTP proxy, by which every host is this one."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.headers: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # it was only tried whether this address answers
            writer.close()
            return
        method, target, _ = head.split(" ", 2)
        self.requests.append(f"{method} {target}")
        self.headers.append(head)
        authority = target if method == "CONNECT" else target.split("/")[2]
        to, onward = await asyncio.open_connection("127.0.0.1", int(authority.rpartition(":")[2]))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            onward.write(head.replace(f"http://{authority}", "", 1).encode())
        await asyncio.gather(pass_on(reader, onward), pass_on(to, writer))


@contextlib.asynccontextmanager
async def http_proxy() -> AsyncIterator[tuple[HttpProxy, str]]:
    """A proxy, and its URL."""
    proxy = HttpProxy()
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        yield proxy, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
