"""The Prometheus sink: the same figures on a page that is scraped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio
import anyio.abc

from patter_core.errors import ConfigurationError
from patter_core.events import Record
from patter_core.sink import EventSink, SinkStatistics
from patter_otel.exposition import CONTENT_TYPE, expose
from patter_otel.instruments import Instruments

__all__ = ["PrometheusSink"]

_HEAD_LIMIT = 16 * 1024
_TIMEOUT = 5.0
"""Seconds for a scraper to ask, and to take its answer."""
_AT_ONCE = 16


class PrometheusSink(EventSink):
    """Serves `http://<host>:<port>/metrics` as long as its host runs; `page()` is the same for a route of your own.

    Args:
        host: address to listen on.
        port: 0 serves nothing: for those who have a route of their own.

    Raises:
        ConfigurationError: the port is none.
    """

    name: ClassVar[str] = "prometheus"

    def __init__(self, *, host: str = "127.0.0.1", port: int = 9464) -> None:
        if not 0 <= port < 65536:
            raise ConfigurationError("PrometheusSink's port is none.", expected="0 to 65535", got=str(port))
        self._address = (host, port)
        self._instruments = Instruments()
        self._begun: Record | None = None
        self._statistics: SinkStatistics = list
        self._answering = anyio.CapacityLimiter(_AT_ONCE)

    async def write(self, records: Sequence[Record]) -> None:
        if records and records[0] is not self._begun:
            self._begun = records[0]
            self._instruments.feed(records)

    async def run(self, statistics: SinkStatistics) -> None:
        self._statistics = statistics
        host, port = self._address
        if port:
            async with await anyio.create_tcp_listener(local_host=host, local_port=port) as listener:
                await listener.serve(self._answer)

    def page(self) -> str:
        """The figures in Prometheus' text format, as they are now."""
        self._instruments.look_at(self._statistics())
        return expose(self._instruments.families())

    async def _answer(self, stream: anyio.abc.SocketStream) -> None:
        """One request, one answer: a scraper comes every few seconds at most."""
        async with stream, self._answering:
            with anyio.move_on_after(_TIMEOUT):
                head = b""
                try:
                    while b"\r\n\r\n" not in head and len(head) < _HEAD_LIMIT:
                        head += await stream.receive()
                    await stream.send(self._response(head.split(b"\r\n", 1)[0]))
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass

    def _response(self, request_line: bytes) -> bytes:
        method, _, rest = request_line.partition(b" ")
        path = rest.split(b" ")[0].split(b"?")[0]
        if method != b"GET" or path != b"/metrics":
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        body = self.page().encode()
        head = (
            "HTTP/1.1 200 OK",
            f"Content-Type: {CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return "\r\n".join((*head, "", "")).encode() + body
