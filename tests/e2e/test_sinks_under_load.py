"""Twenty calls in real time, and sinks that hang, raise, block a thread or break off: no frame is late or lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import anyio
import pytest

from patter_core.aio.threads import SerialThread
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.records import Outlets
from patter_core.events import CallEnded, Record
from patter_core.server.delivery import Delivery
from patter_core.sink import EventSink, WorkerStatistics
from patter_core.sinks import MemorySink
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeEngine, FakeSocket
from tests.calls import new_call

pytestmark = pytest.mark.anyio

CALLS, FRAMES = 20, 75
LATEST = 2.0
"""Seconds: generous to a busy machine. A sink that held up a call would hold it for 10."""


class Hanging(EventSink):
    name = "hanging"
    takes_audio = True
    backlog = 50

    async def write(self, records: Sequence[Record]) -> None:
        await anyio.sleep_forever()


class Raising(EventSink):
    name = "raising"

    async def run(self, statistics: WorkerStatistics) -> None:
        raise ValueError("another bug")

    async def write(self, records: Sequence[Record]) -> None:
        raise ValueError("a bug")


class Blocking(EventSink):
    """A disk that hangs."""

    name = "blocking"
    write_timeout = 0.2

    def __init__(self) -> None:
        self.gate = threading.Event()
        self._worker = SerialThread()

    async def write(self, records: Sequence[Record]) -> None:
        await self._worker.run(self.gate.wait)


class BrokenOff(EventSink):
    """A service that was killed."""

    name = "broken-off"

    async def write(self, records: Sequence[Record]) -> None:
        raise ConnectionResetError("the peer is gone")


async def one_call(number: int, host: Delivery, delays: list[float]) -> None:
    engine, socket = FakeEngine(), FakeSocket()
    call = new_call(
        engine,
        call_id=f"call-{number}",
        leg=Leg(carrier="fake", call_id=f"leg-{number}"),
        outlets=Outlets(put=(host.put,), put_audio=host.put_audio if host.takes_audio else None),
        config=HostConfig(report_every=0.05),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call.run)
        tasks.start_soon(call.serve_media, socket)
        socket.say("start", f"leg-{number}")
        session = await engine.session()
        for index in range(FRAMES):
            sent_at = time.monotonic()
            frame = AudioChunk(index.to_bytes(2, "big") * 80, ULAW_8000)
            socket.say("audio", frame.base64)
            session.give(frame)
            said = await socket.wait_for("audio", index + 1)
            delays.append(time.monotonic() - sent_at)
            assert said[-1].value == frame.base64
            await anyio.sleep(0.02)
        socket.say("stop")
    assert [chunk.data for chunk in session.received] == [index.to_bytes(2, "big") * 80 for index in range(FRAMES)]


async def test_no_sink_touches_audio_and_ends_are_kept_and_drops_counted() -> None:
    good, blocking = MemorySink(), Blocking()
    host = Delivery([Hanging(), Raising(), blocking, BrokenOff(), good])
    delays: list[float] = []
    try:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as sinks:
                sinks.start_soon(host.run)
                async with anyio.create_task_group() as calls:
                    for number in range(CALLS):
                        calls.start_soon(one_call, number, host, delays)
                await good.wait_for("call_ended", CALLS)
                sinks.cancel_scope.cancel()
    finally:
        blocking.gate.set()  # or the thread that waits would keep this process
    assert len(delays) == CALLS * FRAMES
    assert sorted(delays)[int(len(delays) * 0.99)] < LATEST
    stuck = host.queues[0]
    assert stuck.dropped > CALLS * FRAMES
    kept = [*stuck._batch, *stuck.backlog.take(10_000)]
    assert sum(isinstance(record.event, CallEnded) for record in kept) == CALLS
    await host.drain(0.1)
    figures = {figures.sink: figures for figures in host.figures()}
    assert all(figures[name].dropped for name in ("hanging", "raising", "broken-off"))
    assert figures["memory"].dropped == 0
