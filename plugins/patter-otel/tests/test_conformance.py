"""The whole contract, as the core's own check tries it."""

from __future__ import annotations

from typing import Protocol

import anyio
import pytest

from patter_core.sink import EventSink
from patter_core.testing import check_sink
from patter_core.testing.network import free_port
from patter_otel import OpenTelemetrySink, PrometheusSink

pytestmark = pytest.mark.anyio


class Collector(Protocol):
    url: str
    requests: list[tuple[str, dict[str, str]]]


async def test_opentelemetry(collector: Collector) -> None:
    with anyio.fail_after(60):
        await check_sink(
            lambda: OpenTelemetrySink(collector.url, headers={"x-key": "key-of-the-test"}),
            secrets=["key-of-the-test"],
            patience=3,
        )
    assert {headers["x-key"] for _, headers in collector.requests} == {"key-of-the-test"}


async def test_prometheus() -> None:
    port = free_port()

    def make() -> EventSink:
        return PrometheusSink(port=port)

    with anyio.fail_after(60):
        await check_sink(make)
