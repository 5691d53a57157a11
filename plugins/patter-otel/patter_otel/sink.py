"""The OpenTelemetry sink: spans as they end, metrics at intervals."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import anyio

from patter_core.aio.threads import SerialThread
from patter_core.checks import CheckResult
from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError, SinkUnavailable
from patter_core.events import Record
from patter_core.sink import EventSink, WorkerFigures, WorkerStatistics

if TYPE_CHECKING:  # loaded in a thread, when the host starts
    from patter_otel.telemetry import Telemetry

__all__ = ["OpenTelemetrySink"]


class OpenTelemetrySink(EventSink):
    """Makes a trace of each call, and metrics of all calls, with the OpenTelemetry SDK.

    They go to `endpoint`, over OTLP/HTTP. Without it, they go to the providers that the process has set before the host
    starts (`opentelemetry.trace.set_tracer_provider`, `opentelemetry.metrics.set_meter_provider`), and where it has set
    none, to where the variables of the OpenTelemetry specification say: OTEL_EXPORTER_OTLP_ENDPOINT and so on.

    Args:
        endpoint: of a collector, without `/v1/…`.
        headers: for each request to a collector, such as a key; they join those of the environment.
        service: the name of this service; else OTEL_SERVICE_NAME, else `patter`.
        content: put what was said into the spans.
        interval: seconds between two exports of metrics; else OTEL_METRIC_EXPORT_INTERVAL, else 30.

    Raises:
        ConfigurationError: a parameter or a variable cannot be right.
    """

    name: ClassVar[str] = "otel"
    batch_age: ClassVar[float] = 1.0
    write_timeout: ClassVar[float] = 15.0
    """More than an exporter's own, 10 s, which says more."""

    @check_arguments
    def __init__(
        self,
        endpoint: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        service: str = "",
        content: bool = False,
        interval: float | None = None,
    ) -> None:
        parts = urlsplit(endpoint or "http://localhost")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError("`endpoint` is not an HTTP URL.", expected="http(s)://host:port")
        milliseconds = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
        if interval is None:
            interval = int(milliseconds) / 1000 if milliseconds.isdecimal() else 30.0
        if not interval > 0:
            raise ConfigurationError("The interval of metrics is not above 0.", got=f"{interval:g} s")
        self._interval = interval
        self._configuration = (endpoint.rstrip("/"), headers or {}, service, content)
        self._thread = SerialThread()
        self._telemetry: Telemetry | None = None
        self._statistics: WorkerStatistics = WorkerFigures

    async def write(self, records: Sequence[Record]) -> None:
        if records:
            await self._thread.run(lambda: self._load().write(records))

    async def run(self, statistics: WorkerStatistics) -> None:
        self._statistics = statistics
        await self._thread.run(self._load)
        while True:
            await anyio.sleep(self._interval)
            with contextlib.suppress(SinkUnavailable):  # an export hangs; the next interval comes
                await self._thread.run(self._load().collect, statistics())

    async def aclose(self) -> None:
        telemetry, self._telemetry = self._telemetry, None
        if telemetry is not None:
            with anyio.move_on_after(5), contextlib.suppress(SinkUnavailable):  # a host gives less time
                await self._thread.run(telemetry.close, self._statistics())

    async def check(self) -> Sequence[CheckResult]:
        return await self._thread.run(lambda: self._load().probe())

    def _load(self) -> Telemetry:
        if self._telemetry is None:
            from patter_otel.telemetry import Telemetry  # noqa: PLC0415 - the SDK and certificates take 200 ms to load

            endpoint, headers, service, content = self._configuration
            self._telemetry = Telemetry(endpoint, headers, service, content=content)
        return self._telemetry
