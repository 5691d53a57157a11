"""Networks that are no laboratory: a name server that hangs, addresses that lead nowhere, a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Proxy", "answer_names", "dead_address"]

_HANGS = 20.0
"""Seconds."""


def answer_names(hosts: Mapping[str, Sequence[str]]) -> None:
    """In this process the names have those addresses; a name without one is never answered."""
    if hosts:
        socket.getaddrinfo = functools.partial(_look_up, hosts, socket.getaddrinfo)


def _look_up(hosts: Mapping[str, Sequence[str]], really: Any, host: Any, *args: Any, **options: Any) -> Any:
    if host not in hosts or options.get("flags", 0) & socket.AI_NUMERICHOST:  # no name server is asked
        return really(host, *args, **options)
    if not hosts[host]:
        time.sleep(_HANGS)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return [answer for address in hosts[host] for answer in really(address, *args, **options)]


@contextlib.contextmanager
def dead_address(port: int) -> Iterator[str]:
    """An IPv6 address at which a connection to that port is neither made nor refused: its queue is full."""
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket(socket.AF_INET6))
        deaf.bind(("::1", port))
        deaf.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket(socket.AF_INET6))
            filler.setblocking(False)
            filler.connect_ex(("::1", port))
        yield "::1"


class Proxy:
    """An HTTP proxy that makes tunnels, and knows names that its clients do not."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self.url = ""
        self.tunnels: list[str] = []
        """What was asked for, in order."""
        self._hosts = hosts

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
            self.tunnels.append(target)
            host, _, port = target.rpartition(":")
            if method != "CONNECT" or host not in self._hosts:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            there, onward = await asyncio.open_connection(self._hosts[host], int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(_copy(reader, onward), _copy(there, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
