"""The page is served where Prometheus scrapes it, and one who stalls there keeps no other out."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from patter_core.checks import CheckResult, Level
from patter_core.errors import ConfigurationError, SinkRefused
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, Record
from patter_core.server.sink_queue import SinkQueue
from patter_core.sink import SinkFigures, WorkerFigures
from patter_core.telephony.leg import Leg
from patter_core.testing.network import free_port
from patter_otel import PrometheusSink
from patter_otel import prometheus as module
from patter_otel.exposition import Exposition

pytestmark = pytest.mark.anyio

EVENTS: list[CallEvent] = [
    CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="agent"),
    CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics(reply_ms=(400.0, 600.0))),
]
RECORDS = [
    Record(call_id="call", sequence=number, time=0, elapsed_ms=0, event=event) for number, event in enumerate(EVENTS)
]


async def scrape(client: httpx.AsyncClient, url: str) -> httpx.Response:
    with anyio.fail_after(10):
        while True:
            try:
                return await client.get(url)
            except httpx.ConnectError:  # it is not up yet
                await anyio.sleep(0.01)


@asynccontextmanager
async def running(sink: PrometheusSink, *figures: SinkFigures) -> AsyncIterator[httpx.AsyncClient]:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
            tasks.start_soon(sink.run, lambda: WorkerFigures(sinks=figures))
            yield client
            tasks.cancel_scope.cancel()


async def test_it_is_scraped_over_http() -> None:
    port = free_port()
    sink = PrometheusSink(port=port)
    await sink.write(RECORDS)
    await sink.write(RECORDS)  # the same batch again
    async with running(sink, SinkFigures(sink="redis", dropped=3)) as client:
        found = await scrape(client, f"http://127.0.0.1:{port}/metrics?x=1")
    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    read = {family.name: family.samples for family in text_string_to_metric_families(found.text)}
    assert [sample.value for sample in read["patter_calls"]] == [1]
    assert read["patter_reply_seconds"][-1].value == 1.0  # the sum, in s
    assert [sample.value for sample in read["patter_reply_seconds"] if sample.name.endswith("_count")] == [2]
    dropped = [sample.value for sample in read["patter_sink_records"] if sample.labels["fate"] == "dropped"]
    assert dropped == [3]


async def test_once_it_is_cancelled_the_port_is_free() -> None:
    port = free_port()
    for _ in range(2):
        async with running(PrometheusSink(port=port)) as client:
            assert (await scrape(client, f"http://127.0.0.1:{port}/metrics")).status_code == 200
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_one_that_says_nothing_or_nonsense_or_leaves_keeps_no_other_out() -> None:
    port = free_port()
    async with running(PrometheusSink(port=port)) as client:
        await scrape(client, f"http://127.0.0.1:{port}/metrics")
        async with await anyio.connect_tcp("127.0.0.1", port):
            async with await anyio.connect_tcp("127.0.0.1", port) as leaving:
                await leaving.send(b"GET /met")
            async with await anyio.connect_tcp("127.0.0.1", port) as babbling:
                await babbling.send(b"\x00\xff\r\n\r\n")
                assert b"400" in await babbling.receive()
            assert (await client.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "here", "nowhere", "192.0.2.1", f"{'a' * 64}.example"])
def test_the_check_says_of_a_host_what_listening_on_it_says(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, port: int, **_: object) -> list[Any]:
        if name == "here":  # as a name that has an IPv6 address alone
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port))]
        if name == "nowhere":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [*resolved(name, port, type=socket.SOCK_STREAM)]

    resolved = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    exposition = Exposition()
    said = [_refusal(ask, host) for ask in (exposition.check, exposition.listen)]
    exposition.stop()
    assert said[0] == said[1]
    if host not in {"127.0.0.1", "::1", "here"}:
        assert said[0].endswith("Take an address or a name of this machine as `host`.")


def test_an_address_in_brackets_is_refused_with_the_one_to_give() -> None:
    said = _refusal(Exposition().check, "[::1]")
    assert said.startswith("PrometheusSink cannot listen on [::1]:0: ")
    assert said.endswith(" Leave out the brackets: ::1.")


def _refusal(ask: Callable[[str, int], None], host: str) -> str:
    try:
        ask(host, 0)
    except SinkRefused as refused:
        return str(refused)
    return ""


async def test_the_check_tells_whether_the_port_can_be_had_or_is_a_running_server_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    sink = PrometheusSink(port=port)
    url = f"http://127.0.0.1:{port}/metrics"
    assert await sink.check() == (CheckResult(Level.OK, f"{url} can be served."),)
    with socket.create_server(("127.0.0.1", port)) as other:  # which says nothing
        with monkeypatch.context() as patched:
            patched.setattr(module, "_ANSWER", 0.05)
            (taken,) = await sink.check()
        other.close()
    assert taken.level is Level.PROBLEM
    assert taken.what == f"PrometheusSink cannot listen on 127.0.0.1:{port}: Address already in use."
    async with running(sink) as client:
        await scrape(client, url)
        assert await sink.check() == (CheckResult(Level.OK, f"{url} can be served."),)
        assert await PrometheusSink(port=port).check() == [
            CheckResult(Level.OK, f"{url} is served already, by Patter.")
        ]
    assert [result.level for result in await PrometheusSink(port=0).check()] == [Level.OK]


async def test_a_port_that_is_taken_is_told_once_with_the_remedy_and_had_when_it_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        queue = SinkQueue(PrometheusSink(port=port), longest_pause=0.01)
        async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
            tasks.start_soon(queue.run_sink, WorkerFigures)
            await anyio.sleep(0.2)
            taken.close()
            assert (await scrape(client, f"http://127.0.0.1:{port}/metrics")).status_code == 200
            tasks.cancel_scope.cancel()
        await queue.close()
    assert queue.failures > 1
    told, *_ = [entry.getMessage() for entry in caplog.records if entry.levelname == "ERROR"]
    assert caplog.text.count("Address already in use") == 1
    assert f"127.0.0.1:{port}: Address already in use. Another program or another instance has it." in told
    assert told.endswith("This is told once; it is tried again every 0.01 s.")


async def test_what_the_worker_says_is_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    sink, written = PrometheusSink(port=0), count()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.run, lambda: WorkerFigures(sinks=(SinkFigures(sink="redis", written=next(written)),)))
        with anyio.fail_after(20):
            while True:
                await anyio.sleep(0.001)
                if 'patter_sink_records_total{fate="written",sink="redis"} 8.0' in sink.page():
                    break
        tasks.cancel_scope.cancel()


async def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SinkRefused, match=r"192\.0\.2\.1:9464: Cannot assign"):
        await PrometheusSink(host="192.0.2.1", port=9464).run(WorkerFigures)


async def test_a_page_of_ones_own_needs_no_port() -> None:
    sink = PrometheusSink(port=0)
    await sink.write(RECORDS)
    assert "patter_calls_total" in sink.page()


@pytest.mark.parametrize("port", [70_000, -1])
def test_what_is_not_a_port_number_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match="not a port number"):
        PrometheusSink(port=port)


def test_a_process_ends_while_it_is_scraped() -> None:
    program = f"""
import asyncio, socket
from patter_otel import PrometheusSink
from patter_core.sink import WorkerFigures

async def main():
    running = asyncio.create_task(PrometheusSink(port={(port := free_port())}).run(WorkerFigures))
    while True:
        try:
            scraper = socket.create_connection(("127.0.0.1", {port}))
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            break
    await asyncio.sleep(0.1)  # a thread waits for what it asks
    running.cancel()
    await asyncio.wait([running])

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
