"""Every record is added to the stream of its call, at least once, even if the server fails meanwhile."""

from __future__ import annotations

import math
from collections import Counter
from typing import Protocol

import anyio
import msgspec
import pytest

from patter_core.errors import ConfigurationError, SinkUnavailable
from patter_core.events import CallAnnounced, CallEnded, CallEvent, CallMetrics, DtmfReceived, Record
from patter_core.server.sink_queue import SinkQueue
from patter_core.telephony.leg import Leg
from patter_redis import RedisSink
from patter_redis.client import Client

pytestmark = pytest.mark.anyio

END = CallEnded(reason="caller_hung_up", by="caller", duration_ms=0, metrics=CallMetrics())


class Server(Protocol):
    url: str

    def start(self) -> None: ...

    def kill(self) -> None: ...


def record(sequence: int, event: CallEvent | None = None, call_id: str = "call") -> Record:
    return Record(call_id=call_id, sequence=sequence, time=0, elapsed_ms=0, event=event or DtmfReceived(digit="7"))


async def stream(server: Server, key: str) -> list[Record]:
    """The records of a stream, their ids checked."""
    client = Client(server.url, parameter="url=")
    (raw,) = await client.transact(key, ("XRANGE", key, "-", "+"))
    await client.aclose()
    entries = msgspec.convert(raw, list[tuple[bytes, dict[bytes, bytes]]])
    records = [msgspec.json.decode(fields[b"record"], type=Record) for _, fields in entries]
    assert [fields[b"id"].decode() for _, fields in entries] == [found.id for found in records]
    return records


async def ttl(server: Server, key: str) -> int:
    client = Client(server.url, parameter="url=")
    (seconds,) = await client.transact(key, ("TTL", key))
    await client.aclose()
    return msgspec.convert(seconds, int)


async def test_each_call_has_its_stream_and_one_stream_has_their_beginnings_and_ends(server: Server) -> None:
    sink = RedisSink(server.url, expiry=100)
    announced = CallAnnounced(leg=Leg(carrier="fake", call_id="leg-1"), agent="agent")
    story = [record(1, announced), record(2), record(3, END)]
    await sink.write([*story, record(1, call_id="other")])
    await sink.aclose()
    assert await stream(server, "patter:call:call") == story
    assert await stream(server, "patter:call:other") == [record(1, call_id="other")]
    assert await stream(server, "patter:calls") == [story[0], story[2]]
    assert 0 < await ttl(server, "patter:call:call") <= 100


async def test_a_stream_keeps_the_latest_and_no_more(server: Server) -> None:
    sink = RedisSink(server.url, length=10, prefix="mine")
    await sink.write([record(sequence) for sequence in range(1, 26)])
    await sink.aclose()
    assert [found.sequence for found in await stream(server, "mine:call:call")] == list(range(16, 26))


async def test_nothing_is_lost_when_the_server_is_killed_and_restarted(server: Server) -> None:
    sink = RedisSink(server.url)
    queue = SinkQueue(sink, first_pause=0.01, longest_pause=0.05)
    count = 600
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            for sequence in range(1, count):
                queue.put(record(sequence))
                await anyio.sleep(0.001)
                if sequence == 200:
                    server.kill()
                if sequence == 400:
                    await anyio.to_thread.run_sync(server.start)
            queue.put(record(count, END))
            while queue.waiting:  # noqa: ASYNC110 - the queue does not notify
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    await queue.close()
    assert queue.failures > 0
    assert queue.dropped == 0
    found = [got.sequence for got in await stream(server, "patter:call:call")]
    assert list(dict.fromkeys(found)) == list(range(1, count + 1))  # in order
    assert max(Counter(found).values()) <= 2


async def test_records_beyond_the_limit_are_counted_while_the_server_is_down_and_ends_are_kept(server: Server) -> None:
    server.kill()
    sink = RedisSink(server.url)
    queue = SinkQueue(sink, limit=50, first_pause=0.01, longest_pause=0.05)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run)
            queue.put(record(1, END))
            for sequence in range(2, 202):
                queue.put(record(sequence))
            await anyio.sleep(0.05)
            await anyio.to_thread.run_sync(server.start)
            while queue.waiting:  # noqa: ASYNC110 - the queue does not notify
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    await queue.close()
    found = [got.sequence for got in await stream(server, "patter:call:call")]
    assert 1 in found
    assert len(set(found)) + queue.dropped == 201
    assert math.isclose(queue.dropped, 150, abs_tol=1)


async def test_a_server_that_is_down_is_unavailable() -> None:
    sink = RedisSink("redis://:hidden@127.0.0.1:9/0")
    with pytest.raises(SinkUnavailable) as caught:
        await sink.write([record(1)])
    assert caught.value.problem == "Redis at 127.0.0.1:9/0 cannot be reached."
    assert "Connect call failed" in caught.value.got
    assert "PATTER_REDIS_URL" in caught.value.remedy
    await sink.aclose()


@pytest.mark.parametrize(("length", "expiry"), [(0, 1), (1, 0)])
def test_limits_below_1_are_refused(length: int, expiry: int) -> None:
    with pytest.raises(ConfigurationError):
        RedisSink("redis://127.0.0.1/0", length=length, expiry=expiry)


def test_a_password_is_not_shown() -> None:
    assert repr(RedisSink("redis://:hidden@127.0.0.1/0")) == "<RedisSink <Client of 127.0.0.1:6379/0>>"
