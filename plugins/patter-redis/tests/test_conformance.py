"""The contracts of a sink and of a call store, as the core's own checks try them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import pytest

from patter_core.events import Record
from patter_core.testing import check_sink, check_store
from patter_redis import RedisCallStore, RedisSink
from patter_redis.client import Client

pytestmark = pytest.mark.anyio


class Server(Protocol):
    url: str


async def test_the_sink_keeps_its_contract(server: Server) -> None:
    async def received() -> Sequence[tuple[str, int]]:
        client = Client(server.url, parameter="url=")
        keys = ("patter:call:one", "patter:call:two")
        raw = [(await client.transact(key, ("XRANGE", key, "-", "+")))[0] for key in keys]
        await client.aclose()
        streams = msgspec.convert(raw, list[list[tuple[bytes, dict[bytes, bytes]]]])
        records = [msgspec.json.decode(fields[b"record"], type=Record) for stream in streams for _, fields in stream]
        return [(record.call_id, record.sequence) for record in records]

    await check_sink(lambda: RedisSink(server.url), received=received)


async def test_the_store_keeps_its_contract(server: Server) -> None:
    password = "password-of-the-test"
    await check_store(
        lambda: RedisCallStore(server.url),
        make_expiring=lambda expiry: RedisCallStore(server.url, expiry=expiry),
        make_unreachable=lambda port: RedisCallStore(f"redis://:{password}@127.0.0.1:{port}/0"),
        secrets=[password],
    )
