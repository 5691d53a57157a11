"""Workers share the history of calls through a real server; it expires, and survives a crash of the server."""

from __future__ import annotations

from typing import Protocol

import anyio
import pytest
from redis.crc import key_slot

from patter_core.checks import Level
from patter_core.errors import ConfigurationError, StoreUnavailable
from patter_core.history import AgentSaid, ToolUsed, UserSaid
from patter_core.store import LINES_KEPT, HistoryLine, Lease
from patter_redis import RedisCallStore
from patter_redis.client import Client

pytestmark = pytest.mark.anyio


def said(text: str) -> HistoryLine:
    return HistoryLine(text, UserSaid(text=text, started_ms=0))


class Server(Protocol):
    url: str

    def start(self) -> None: ...

    def kill(self) -> None: ...


async def test_a_worker_reads_what_another_wrote(server: Server) -> None:
    one, other = RedisCallStore(server.url), RedisCallStore(server.url)
    lines = (
        HistoryLine("1", AgentSaid(text="Hello.", started_ms=1.5)),
        said("Größe?"),
        HistoryLine("1", AgentSaid(text="Hel", started_ms=1.5, interrupted=True)),
        HistoryLine("tool.a", ToolUsed(id="a", name="book", arguments="{}", started_ms=2.0)),
    )
    for line in lines:
        await one.append("call", line)
    assert await other.history("call") == lines
    assert await other.history("unknown") == ()
    await one.aclose()
    await other.aclose()


async def test_a_call_is_forgotten_after_its_time(server: Server) -> None:
    store = RedisCallStore(server.url, expiry=0.2)
    await store.append("call", said("Hi."))
    assert len(await store.history("call")) == 1
    with anyio.fail_after(10):
        while await store.history("call"):  # noqa: ASYNC110 - the server does not notify
            await anyio.sleep(0.02)
    await store.aclose()


async def test_only_the_latest_lines_are_kept(server: Server) -> None:
    store = RedisCallStore(server.url)
    async with anyio.create_task_group() as tasks:
        for first in range(0, LINES_KEPT + 10, 101):
            tasks.start_soon(append, store, first, 101)
    assert len(await store.history("call")) == LINES_KEPT
    await store.aclose()


async def append(store: RedisCallStore, first: int, count: int) -> None:
    for index in range(first, first + count):
        await store.append("call", said(f"{index}"))


async def test_a_server_that_was_killed_and_restarted_has_it_all(server: Server) -> None:
    store = RedisCallStore(server.url)
    await store.append("call", said("Before."))
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.append("call", said("Meanwhile."))
    server.start()
    await store.append("call", said("After."))  # at once, on the old connection
    assert [line.id for line in await store.history("call")] == ["Before.", "After."]
    await store.aclose()


async def test_a_restart_in_between_is_not_noticed(server: Server) -> None:
    store = RedisCallStore(server.url)
    await store.append("call", said("Before."))
    server.kill()
    server.start()
    await store.append("call", said("After."))
    assert [line.id for line in await store.history("call")] == ["Before.", "After."]
    await store.aclose()


def test_an_expiry_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not positive"):
        RedisCallStore("redis://127.0.0.1/0", expiry=0)


async def test_its_check_reports_whether_the_server_answers(server: Server) -> None:
    store = RedisCallStore(server.url)
    assert [(result.level, result.what) for result in await store.check()] == [(Level.OK, "Redis answers.")]
    server.kill()
    (result,) = await store.check()
    assert (result.level, result.what) == (
        Level.PROBLEM,
        f"Redis at {server.url.removeprefix('redis://')} cannot be reached.",
    )
    assert "PATTER_REDIS_URL" in result.remedy
    await store.aclose()


async def test_a_lease_outlives_a_crash_of_the_server_and_one_that_was_taken_stays_taken(server: Server) -> None:
    one, other = RedisCallStore(server.url), RedisCallStore(server.url)
    taken, kept = Lease("call-1", "token-1"), Lease("call-2", "token-2")
    assert await one.keep_lease(taken, 0)
    assert await one.keep_lease(kept, 600)
    assert await other.take_leases(600) == [taken]
    server.kill()
    server.start()
    assert await one.take_leases(600) == []
    assert [await one.keep_lease(lease, 600) for lease in (taken, kept)] == [False, True]
    await one.aclose()
    await other.aclose()


async def test_a_server_that_has_lost_a_lease_keeps_it_anew(server: Server) -> None:
    """Its worker lives: it must not take that for another worker's."""
    store, client = RedisCallStore(server.url), Client(server.url, parameter="url=")
    lease = Lease("call", "token")
    assert await store.keep_lease(lease, 600)
    await client.transact("", ("FLUSHALL",))
    await client.aclose()
    assert await store.keep_lease(lease, 0)
    assert await store.take_leases(600) == [lease]
    await store.aclose()


async def test_leases_are_on_one_node_of_a_cluster_and_all_that_is_kept_of_them_expires(server: Server) -> None:
    store, client = RedisCallStore(server.url), Client(server.url, parameter="url=")
    await store.keep_lease(Lease("call-1", "token-1"), 600)
    await store.release_lease(Lease("call-2", "token-2"))
    (keys,) = await client.transact("", ("KEYS", "*"))
    assert isinstance(keys, list)
    assert len({key_slot(key) for key in keys}) == 1
    assert sorted(keys) == [b"{patter:leases}:%s" % name for name in (b"over", b"token", b"until")]
    for key in keys:
        (expires,) = await client.transact(key.decode(), ("PTTL", key))
        assert isinstance(expires, int)
        assert 3_000_000 < expires <= 86_400_000
    await client.aclose()
    await store.aclose()
