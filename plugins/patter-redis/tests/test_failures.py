"""What Redis refuses for good is told, and what passes is tried again; a cluster is as good as a single server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
import pytest

from patter_core.checks import Level
from patter_core.errors import SinkRefused, SinkUnavailable, StoreRefused, StoreUnavailable
from patter_core.events import CallAnnounced, DtmfReceived, Record
from patter_core.history import UserSaid
from patter_core.server.sink_queue import SinkQueue
from patter_core.store import HistoryLine
from patter_core.telephony.leg import Leg
from patter_redis import RedisCallStore, RedisSink
from patter_redis.client import Client

pytestmark = pytest.mark.anyio

LINE = HistoryLine("1", UserSaid(text="My number is secret.", started_ms=0))


class Server(Protocol):
    url: str
    port: int
    password: bytes
    errors: dict[bytes, str]
    values: dict[bytes, list[bytes]]
    kinds: dict[bytes, bytes]
    transactions: int
    slots: range

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def records(calls: int, each: int = 3) -> list[Record]:
    leg = Leg(carrier="fake", call_id="leg-1")
    return [
        Record(
            call_id=f"call-{call}",
            sequence=sequence,
            time=0,
            elapsed_ms=0,
            event=DtmfReceived(digit="7") if sequence else CallAnnounced(leg=leg, agent="agent"),
        )
        for sequence in range(each)
        for call in range(calls)
    ]


def stored(*nodes: Server) -> dict[bytes, int]:
    return {key: len(values) for node in nodes for key, values in node.values.items()}


EVERYTHING = {b"patter:calls": 40} | {f"patter:call:call-{call}".encode(): 3 for call in range(40)}

PASSING = [
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN The cluster is down",
    "MASTERDOWN Link with MASTER is down",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.",
    "BUSY Redis is busy running a script.",
    "ERR max number of clients reached",
]
LASTING = {
    "NOAUTH Authentication required.": "password",
    "NOPERM this user has no permissions to run the 'xadd' command": "Allow",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "prefix=",
    "CROSSSLOT Keys in request don't hash to the same slot": "Cluster",
    "ERR unknown command 'XADD', with args beginning with: 'patter:call:1' 'My number is secret.'": "version",
    "WHATEVER it says": "Look at the server",
}


@pytest.mark.parametrize("error", PASSING)
async def test_what_passes_is_tried_again_and_nothing_is_lost(node: Server, error: str) -> None:
    sink, store = RedisSink(node.url), RedisCallStore(node.url)
    node.errors = {b"XADD": error, b"RPUSH": error}
    with pytest.raises(SinkUnavailable):
        await sink.write(records(1))
    with pytest.raises(StoreUnavailable):
        await store.append("call", LINE)
    node.errors = {}
    await sink.write(records(1))
    await store.append("call", LINE)
    assert await store.history("call") == (LINE,)
    await sink.aclose()
    await store.aclose()


@pytest.mark.parametrize(("error", "remedy"), LASTING.items(), ids=lambda text: text.split()[0])
async def test_what_lasts_is_refused_with_redis_text_and_the_remedy(node: Server, error: str, remedy: str) -> None:
    sink, store = RedisSink(node.url), RedisCallStore(node.url)
    node.errors = {b"XADD": error, b"RPUSH": error, b"LRANGE": error}

    async def write() -> None:
        await sink.write(records(1))

    async def append() -> None:
        await store.append("call", LINE)

    async def history() -> None:
        await store.history("call")

    methods: list[tuple[Callable[[], Awaitable[None]], type[Exception]]] = [
        (write, SinkRefused),
        (append, StoreRefused),
        (history, StoreRefused),
    ]
    for method, kind in methods:
        with pytest.raises(kind) as caught:
            await method()
        assert error.partition(",")[0].rstrip(".").split("'")[0] in str(caught.value)
        assert remedy in str(caught.value)
        assert "secret" not in str(caught.value)
    assert stored(node) == {}
    await sink.aclose()
    await store.aclose()


async def test_a_wrong_password_is_refused_and_found_beforehand(node: Server) -> None:
    node.password = b"right-password"
    url = f"redis://:wrong-password@127.0.0.1:{node.port}/0"
    sink, store = RedisSink(url), RedisCallStore(url)
    with pytest.raises(SinkRefused, match="password in the URL"):
        await sink.write(records(1))
    with pytest.raises(StoreRefused, match="password in the URL"):
        await store.append("call", LINE)
    for checked in (sink, store):
        (result,) = await checked.check()
        assert (result.level, result.remedy) == (Level.PROBLEM, "Check the user and the password in the URL.")
        assert "wrong-password" not in result.what
        await checked.aclose()
    right = RedisSink(node.url)
    await right.write(records(1))
    assert [result.level for result in await right.check()] == [Level.OK]
    await right.aclose()


async def test_one_calls_bad_key_costs_no_other_call_and_nothing_comes_twice(node: Server) -> None:
    node.kinds[b"patter:call:call-1"] = b"string"
    sink = RedisSink(node.url)
    queue = SinkQueue(sink, first_pause=0.001)
    for record in records(40):
        queue.put(record)
    await queue.flush()
    assert (queue.written, queue.dropped, queue.failures, queue.open) == (117, 3, 1, False)
    assert stored(node) == {key: count for key, count in EVERYTHING.items() if key != b"patter:call:call-1"}
    await sink.aclose()


async def test_a_batch_that_comes_again_adds_only_what_was_not_added(node: Server) -> None:
    sink = RedisSink(node.url)
    batch = records(40)
    node.errors = {b"EXPIRE": "LOADING Redis is loading"}  # of the calls' streams, not of the index
    with pytest.raises(SinkUnavailable):
        await sink.write(batch)
    node.errors = {}
    await sink.write(batch)
    assert stored(node) == EVERYTHING
    again = [*batch]
    await sink.write(again)
    assert stored(node) == EVERYTHING  # it is the same batch, and done
    await sink.write(records(40))
    assert stored(node) == {key: 2 * count for key, count in EVERYTHING.items()}
    await sink.aclose()


async def test_a_key_of_another_kind_for_the_index_is_found_beforehand(node: Server) -> None:
    node.kinds[b"patter:calls"] = b"list"
    sink = RedisSink(node.url)
    (result,) = await sink.check()
    assert (result.level, "patter:calls" in result.what) == (Level.PROBLEM, True)
    await sink.aclose()


@pytest.mark.parametrize("entry", [0, 1])
async def test_a_cluster_has_it_all_whichever_node_is_named(nodes: list[Server], entry: int) -> None:
    sink, store = RedisSink(nodes[entry].url), RedisCallStore(nodes[entry].url)
    queue = SinkQueue(sink)
    for record in records(40):
        queue.put(record)
    for call in range(40):
        await store.append(f"call-{call}", LINE)
    await queue.flush()
    assert (queue.written, queue.failures) == (120, 0)
    said = {f"patter:said:call-{call}".encode(): 1 for call in range(40)}
    assert stored(*nodes) == EVERYTHING | said
    assert all(node.transactions > 10 for node in nodes)  # both have their part
    for call in range(40):
        assert await store.history(f"call-{call}") == (LINE,)
    await sink.aclose()
    await store.aclose()


async def test_slots_that_move_are_followed_and_a_node_that_is_gone_is_asked_no_more(nodes: list[Server]) -> None:
    first, second = nodes
    store = RedisCallStore(first.url)
    for call in range(20):
        await store.append(f"call-{call}", LINE)
    first.slots, second.slots = range(0), range(16_384)
    second.values |= first.values
    second.kinds |= first.kinds
    for call in range(20):
        assert await store.history(f"call-{call}") == (LINE,)
    await first.stop()
    with anyio.fail_after(20):
        for call in range(20, 40):
            await store.append(f"call-{call}", LINE)
    await store.aclose()


async def test_nodes_that_send_each_to_the_other_are_refused(nodes: list[Server]) -> None:
    first, second = nodes
    client = Client(first.url, parameter="url=")
    first.errors = {b"GET": f"MOVED 1 127.0.0.1:{second.port}"}
    second.errors = {b"GET": f"MOVED 1 127.0.0.1:{first.port}"}
    with anyio.fail_after(5), pytest.raises(SinkRefused, match="MOVED"):
        await client.transact("a", ("GET", "a"))
    await client.aclose()
