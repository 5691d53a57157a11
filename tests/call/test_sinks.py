"""Sinks get what happened, in order; a sink that fails, hangs or is slow costs records, counted, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from patter_core.call.sinks import SinkHost, SinkQueue
from patter_core.events import CallEnded, CallMetrics, DtmfReceived, Record
from patter_core.sink import EventSink
from patter_core.testing.fakes import MemorySink

pytestmark = pytest.mark.anyio


def record(sequence: int, *, end: bool = False) -> Record:
    event = (
        CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())
        if end
        else DtmfReceived(digit="1")
    )
    return Record(call_id="call", sequence=sequence, time=0, elapsed_ms=0, event=event)


class Hanging(EventSink):
    name = "hanging"

    async def write(self, records: Sequence[Record]) -> None:
        await anyio.sleep_forever()


class Broken(EventSink):
    name = "broken"

    async def write(self, records: Sequence[Record]) -> None:
        raise ValueError("a bug")

    async def aclose(self) -> None:
        raise ValueError("another bug")


async def test_every_sink_gets_everything_in_order() -> None:
    sinks = [MemorySink(), MemorySink()]
    host = SinkHost(sinks)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.run)
            for sequence in range(1, 2001):
                host.put(record(sequence))
                if sequence % 100 == 0:
                    await anyio.lowlevel.checkpoint()
            for sink in sinks:
                await sink.wait_for("dtmf_received", 2000)
            tasks.cancel_scope.cancel()
    for sink in sinks:
        assert [got.sequence for got in sink.records] == list(range(1, 2001))


async def test_what_waits_at_the_end_is_handed_over() -> None:
    sink = MemorySink()
    host = SinkHost([sink])
    host.put(record(1))
    await host.drain()
    assert [got.sequence for got in sink.records] == [1]


async def test_without_room_the_oldest_goes_and_a_calls_end_stays() -> None:
    sink = MemorySink()
    queue = SinkQueue(sink, limit=3)
    queue.put(record(1, end=True))
    for sequence in range(2, 8):
        queue.put(record(sequence))
    assert queue.dropped == 3
    await queue.drain()
    assert [got.sequence for got in sink.records] == [1, 5, 6, 7]


async def test_a_batch_that_is_cancelled_is_not_lost() -> None:
    class Once(MemorySink):
        hung = False

        async def write(self, records: Sequence[Record]) -> None:
            if not self.hung:
                self.hung = True
                started.set()
                await anyio.sleep_forever()
            await super().write(records)

    started = anyio.Event()
    sink = Once()
    queue = SinkQueue(sink)
    queue.put(record(1))
    queue.put(record(2))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.run)
        await started.wait()
        tasks.cancel_scope.cancel()
    await queue.drain()
    assert [got.sequence for got in sink.records] == [1, 2]
    assert queue.dropped == 0


async def test_a_sink_that_hangs_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    good = MemorySink()
    slow, quick = SinkQueue(Hanging(), write_timeout=0.01), SinkQueue(good)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for queue in (slow, quick):
                tasks.start_soon(queue.run)
                queue.put(record(1))
            await good.wait_for("dtmf_received")
            while not slow.dropped:  # noqa: ASYNC110 - its time-out is the only thing that tells
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
    assert "hanging" in caplog.text


async def test_a_sink_that_raises_is_reported_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "patter.sinks")
    queue = SinkQueue(Broken())
    queue.put(record(1))
    await queue.drain()
    assert queue.dropped == 1
    assert caplog.text.count("\nValueError:") == 2
