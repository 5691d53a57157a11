"""The OpenTelemetry sink: spans as calls go on, figures at intervals, to a collector over OTLP/HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

import anyio

from patter_core.config import from_environment
from patter_core.errors import ConfigurationError, PatterError, SinkUnavailable
from patter_core.events import CallEnded, Record
from patter_core.sink import EventSink, SinkStatistics
from patter_otel.instruments import Instruments
from patter_otel.spans import Span, SpanBuilder, Value

if TYPE_CHECKING:  # loaded with the first export
    import httpx

__all__ = ["OpenTelemetrySink"]

_log = logging.getLogger("patter.otel")

_TIMEOUT = 8.0
"""Seconds for the collector to answer: less than the sink host's for a batch."""
_RETRYABLE = {429, 502, 503, 504}
"""The statuses that OTLP names for another try; any other error means that these data will never be taken."""
_ENDS_KEPT = 10_000


class OpenTelemetrySink(EventSink):
    """Sends a trace for each call and figures over all calls to an OTLP/HTTP collector, as protobuf.

    The environment variables are those of the OpenTelemetry specification.

    Args:
        endpoint: of the collector, without `/v1/…`; else OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318.
        headers: for each request, such as a key; else OTEL_EXPORTER_OTLP_HEADERS.
        service: the name of this service; else OTEL_SERVICE_NAME, else `patter`.
        content: put what was said into the spans.
        interval: seconds between two exports of figures.

    Raises:
        ConfigurationError: the endpoint or the interval cannot be right.
    """

    name: ClassVar[str] = "otel"
    batch_age: ClassVar[float] = 1.0

    def __init__(
        self,
        endpoint: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        service: str = "",
        content: bool = False,
        interval: float = 30.0,
    ) -> None:
        self._endpoint = (from_environment(endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318").rstrip(
            "/"
        )
        parts = urlsplit(self._endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname or interval <= 0:
            raise ConfigurationError(
                "The collector cannot be reached so.", expected="an endpoint http(s)://…, and an interval above 0"
            )
        self._host = parts.hostname
        self._headers = dict(headers) if headers is not None else _headers_from_environment()
        self._resource: dict[str, Value] = {
            "service.name": from_environment(service, "OTEL_SERVICE_NAME") or "patter",
            "telemetry.sdk.language": "python",
        }
        self._interval = interval
        self._started = time.time()
        self._spans = SpanBuilder(content=content)
        self._instruments = Instruments()
        self._begun: Record | None = None
        self._pending: list[Span] = []
        """Finished by the batch that is being written."""
        self._ended: dict[str, None] = {}
        self._statistics: SinkStatistics = list
        self._client: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"<OpenTelemetrySink to {self._host}>"

    async def write(self, records: Sequence[Record]) -> None:
        if records and records[0] is not self._begun:  # else it comes again, and all that is missing is its sending
            self._begun = records[0]
            self._pending = self._take(records)
        if self._pending:
            from patter_otel.otlp import encode_spans  # noqa: PLC0415 - loads protobuf

            await self._export("traces", encode_spans(self._pending, self._resource))
            self._pending = []

    async def run(self, statistics: SinkStatistics) -> None:
        self._statistics = statistics
        while True:
            await anyio.sleep(self._interval)
            await self._export_metrics()

    async def aclose(self) -> None:
        try:
            await self._export_metrics()
        finally:
            if self._client is not None:
                with anyio.CancelScope(shield=True):  # a socket closes at once
                    await self._client.aclose()
                self._client = None

    def _take(self, records: Sequence[Record]) -> list[Span]:
        """Feed the records that are new: the end of a call comes again if its batch was refused."""
        new = [record for record in records if record.id not in self._ended]
        for record in new:
            if isinstance(record.event, CallEnded):
                self._ended[record.id] = None
        while len(self._ended) > _ENDS_KEPT:
            del self._ended[next(iter(self._ended))]
        self._instruments.feed(new)
        return self._spans.feed(new)

    async def _export_metrics(self) -> None:
        """Figures that cannot be sent now are sent next time: they only grow."""
        self._instruments.look_at(self._statistics())
        families = self._instruments.families()
        if not families:
            return
        from patter_otel.otlp import encode_metrics  # noqa: PLC0415 - loads protobuf

        try:
            await self._export(
                "metrics", encode_metrics(families, self._resource, start=self._started, now=time.time())
            )
        except PatterError as error:
            _log.warning("Figures wait for the next time: %s", error)

    async def _export(self, signal: str, body: bytes) -> None:
        import httpx  # noqa: PLC0415 - see above

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT)
        try:
            response = await self._client.post(
                f"{self._endpoint}/v1/{signal}",
                content=body,
                headers={**self._headers, "content-type": "application/x-protobuf"},
            )
        except httpx.HTTPError as error:
            raise SinkUnavailable(f"The collector cannot be reached: {type(error).__name__}.") from error
        if response.status_code in _RETRYABLE:
            raise SinkUnavailable("The collector is busy.", got=str(response.status_code))
        if not response.is_success:
            raise PatterError(
                f"The collector refuses {signal}.",
                got=str(response.status_code),
                remedy="Look at the endpoint and its headers.",
            )
        self._tell_what_was_rejected(signal, response.content)

    def _tell_what_was_rejected(self, signal: str, answer: bytes) -> None:
        if not answer:
            return
        from patter_otel.answers import rejected  # noqa: PLC0415 - loads protobuf

        if problem := rejected(signal, answer):
            _log.warning("The collector took only a part: %s", problem)


def _headers_from_environment() -> dict[str, str]:
    """`key=value` pairs with commas between, percent-encoded, as the specification has it."""
    pairs = (pair.partition("=") for pair in from_environment("", "OTEL_EXPORTER_OTLP_HEADERS").split(","))
    return {key.strip().lower(): unquote(value.strip()) for key, found, value in pairs if found}
