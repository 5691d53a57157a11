"""The Prometheus sink: metrics on a page that is scraped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import anyio

from patter_core.aio.threads import SerialThread
from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError
from patter_core.events import Record
from patter_core.sink import EventSink, SinkStatistics

if TYPE_CHECKING:  # loaded in a thread, when the host starts
    from patter_otel.exposition import Exposition

__all__ = ["PrometheusSink"]


class PrometheusSink(EventSink):
    """Serves `http://<host>:<port>/metrics` while its host runs; `page()` is the same for a route of your own.

    Args:
        host: address to listen on.
        port: a number, or its digits, as a configuration file's `"946{worker}"` gives them; 0 serves nothing.

    Raises:
        ConfigurationError: `port` is not a port number.
    """

    name: ClassVar[str] = "prometheus"

    @check_arguments
    def __init__(self, *, host: str = "127.0.0.1", port: int | str = 9464) -> None:
        if not str(port).isdecimal() or int(port) >= 65536:
            raise ConfigurationError("`port` is not a port number.", expected="0 to 65535", got=str(port))
        self._host, self._port = host, int(port)
        self.exclusive = self._port > 0
        self._thread = SerialThread()
        self._exposition: Exposition | None = None
        self._begun: Record | None = None

    async def write(self, records: Sequence[Record]) -> None:
        if self._exposition is None:
            await self._thread.run(self._load)
        if records and records[0] is not self._begun:  # else the batch comes again
            self._begun = records[0]
            self._load().instruments.feed(records)

    async def run(self, statistics: SinkStatistics) -> None:
        """Serves the page until cancelled. An address that is taken is refused; the host tries again now and then."""
        exposition = await self._thread.run(self._load)
        exposition.statistics = statistics
        if self._port:
            server = await self._thread.run(exposition.serve, self._host, self._port)
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.move_on_after(1, shield=True):
                    await self._thread.run(server.shutdown)
                server.server_close()

    def page(self) -> str:
        """The metrics in Prometheus' text format, version 0.0.4, as they are now."""
        from prometheus_client import generate_latest  # noqa: PLC0415 - as below

        return generate_latest(self._load()).decode()

    def _load(self) -> Exposition:
        if self._exposition is None:
            from patter_otel.exposition import Exposition  # noqa: PLC0415 - prometheus_client takes 60 ms to load

            self._exposition = Exposition()
        return self._exposition
