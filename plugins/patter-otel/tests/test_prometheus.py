"""The page is served where Prometheus scrapes it, and nobody who stalls there keeps others out."""

from __future__ import annotations

import socket

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from patter_core.errors import ConfigurationError
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record
from patter_core.sink import SinkFigures
from patter_core.telephony.leg import Leg
from patter_otel import PrometheusSink
from patter_otel.exposition import CONTENT_TYPE

pytestmark = pytest.mark.anyio

EVENTS: list[CallEvent] = [
    CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="agent"),
    CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics(reply_ms=(400.0, 600.0))),
]
RECORDS = [
    Record(call_id="call", sequence=number, time=0, elapsed_ms=0, event=event) for number, event in enumerate(EVENTS)
]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def scrape(client: httpx.AsyncClient, url: str) -> httpx.Response:
    with anyio.fail_after(10):
        while True:
            try:
                return await client.get(url)
            except httpx.ConnectError:  # it is not up yet
                await anyio.sleep(0.01)


async def test_it_is_scraped_over_http() -> None:
    port = free_port()
    sink = PrometheusSink(port=port)
    await sink.write(RECORDS)
    await sink.write(RECORDS)  # the same batch again
    async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
        tasks.start_soon(sink.run, lambda: [SinkFigures(sink="redis", dropped=3)])
        found = await scrape(client, f"http://127.0.0.1:{port}/metrics?x=1")
        elsewhere = await client.get(f"http://127.0.0.1:{port}/")
        tasks.cancel_scope.cancel()
    assert found.headers["content-type"] == CONTENT_TYPE
    assert elsewhere.status_code == 404
    read = {family.name: family.samples for family in text_string_to_metric_families(found.text)}
    assert [sample.value for sample in read["patter_calls"]] == [1]
    assert read["patter_reply_seconds"][-1].value == 2
    dropped = [sample.value for sample in read["patter_sink_records"] if sample.labels["fate"] == "dropped"]
    assert dropped == [3]


async def test_who_says_nothing_or_nonsense_or_leaves_keeps_nobody_out() -> None:
    port = free_port()
    sink = PrometheusSink(port=port)
    await sink.write(RECORDS)
    async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
        tasks.start_soon(sink.run, list)
        await scrape(client, f"http://127.0.0.1:{port}/metrics")
        async with await anyio.connect_tcp("127.0.0.1", port) as silent:
            async with await anyio.connect_tcp("127.0.0.1", port) as leaving:
                await leaving.send(b"GET /met")
            async with await anyio.connect_tcp("127.0.0.1", port) as babbling:
                await babbling.send(b"\x00\xff\r\n\r\n")
                assert (await babbling.receive()).startswith(b"HTTP/1.1 404")
            assert (await client.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200
            await silent.send(b"x")
        tasks.cancel_scope.cancel()


async def test_a_page_of_ones_own_needs_no_port() -> None:
    sink = PrometheusSink(port=0)
    await sink.write(RECORDS)
    await sink.run(list)  # returns at once
    assert "patter_calls_total" in sink.page()


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        PrometheusSink(port=70_000)
