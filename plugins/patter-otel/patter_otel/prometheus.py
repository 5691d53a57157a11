"""The Prometheus sink: metrics on a page that is scraped."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar

import anyio

from patter_core.aio.threads import SerialThread
from patter_core.checks import CheckResult, Level, checked
from patter_core.config import check_arguments, workers_folder
from patter_core.errors import ConfigurationError
from patter_core.events import Record
from patter_core.net.http import send_request
from patter_core.sink import EventSink, WorkerStatistics

if TYPE_CHECKING:  # loaded in a thread, when the host starts
    from patter_otel.exposition import Exposition

__all__ = ["PrometheusSink"]

_ANSWER = 2.0
"""Seconds for what has the port to answer a check."""
_LOOK_EVERY = 1.0
"""Seconds between two looks at the worker, and at whether it is this one's turn to serve the page."""


class PrometheusSink(EventSink):
    """Serves `http://<host>:<port>/metrics` while its host runs; `page()` is the same for a route of your own.

    Where several workers have a folder, PATTER_WORKERS_FOLDER, which `patter serve --workers` gives them, one of them
    serves the page, and any page has the sums over all of them.

    Args:
        host: address to listen on.
        port: 0 serves nothing.

    Raises:
        ConfigurationError: `port` is not a port number.
    """

    name: ClassVar[str] = "prometheus"

    @check_arguments
    def __init__(self, *, host: str = "127.0.0.1", port: int = 9464) -> None:
        if not 0 <= port < 65536:
            raise ConfigurationError("`port` is not a port number.", expected="0 to 65535", got=str(port))
        self._host, self._port = host, port
        shared = workers_folder()
        self._folder = shared and shared / f"prometheus-{port}"  # two sinks count the same calls
        self._thread = SerialThread()
        self._loading = threading.Lock()
        self._exposition: Exposition | None = None
        self._begun: Record | None = None

    async def write(self, records: Sequence[Record]) -> None:
        if records:
            await self._thread.run(self._feed, records)

    async def run(self, statistics: WorkerStatistics) -> None:
        """Serves the page until cancelled. An address that is taken is refused; the host tries again now and then."""
        exposition = await self._thread.run(self._load)
        try:
            while True:
                await self._thread.run(exposition.instruments.look_at, statistics())
                if self._port:
                    await self._thread.run(exposition.listen, self._host, self._port)
                await anyio.sleep(_LOOK_EVERY)
        finally:
            with anyio.move_on_after(1, shield=True):
                await self._thread.run(exposition.stop)

    async def erase(self, call_ids: Collection[str]) -> Sequence[str] | None:
        return ()  # figures are of no single call

    async def aclose(self) -> None:
        if self._folder and self._exposition is not None:
            exposition, self._exposition = self._exposition, None
            await self._thread.run(exposition.close)

    async def check(self) -> Sequence[CheckResult]:
        """Tries to listen, unless workers share the port or a server that runs has it."""
        url = f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}/metrics"
        if not self._port:
            return [CheckResult(Level.OK, "Its port is 0, so it serves nothing itself.")]
        if self._folder:
            return [CheckResult(Level.OK, f"{url} is served by one of the workers that share {self._folder.parent}.")]
        found = await checked(self._thread.run(self._try_to_listen), f"{url} can be served.")
        if found[0].level is not Level.OK and await _is_ours(url):
            return [CheckResult(Level.OK, f"{url} is served already, by Patter.")]
        return found

    def page(self) -> str:
        """The metrics in Prometheus' text format, version 0.0.4, as they are now."""
        return self._load().page()

    def _feed(self, records: Sequence[Record]) -> None:
        if records[0] is not self._begun:  # else the batch comes again
            self._begun = records[0]
            self._load().instruments.feed(records)

    def _try_to_listen(self) -> None:
        self._load().check(self._host, self._port)

    def _load(self) -> Exposition:
        with self._loading:
            if self._exposition is None:
                from patter_otel.exposition import Exposition  # noqa: PLC0415 - prometheus_client takes 60 ms to load

                self._exposition = Exposition(self._folder, self._port)
            return self._exposition


async def _is_ours(url: str) -> bool:
    """True if such a page is at that address: a server that runs has the port."""
    try:
        answer = await send_request("GET", url, headers={}, connect_timeout=_ANSWER, answer_timeout=_ANSWER)
    except OSError:
        return False
    return answer.status == 200 and b"# HELP patter_" in answer.body
