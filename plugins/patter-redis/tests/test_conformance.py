"""The sink contract, as the core's conformance check tries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import pytest

from patter_core.events import Record
from patter_core.testing import check_sink
from patter_redis import RedisSink
from patter_redis.client import Client

pytestmark = pytest.mark.anyio


class Server(Protocol):
    url: str


async def test_it_keeps_the_contract(server: Server) -> None:
    async def received() -> Sequence[tuple[str, int]]:
        client = Client(server.url, parameter="url=")
        raw = await client.transact(*(("XRANGE", f"patter:call:{call}", "-", "+") for call in ("one", "two")))
        await client.aclose()
        streams = msgspec.convert(raw, list[list[tuple[bytes, dict[bytes, bytes]]]])
        records = [msgspec.json.decode(fields[b"record"], type=Record) for stream in streams for _, fields in stream]
        return [(record.call_id, record.sequence) for record in records]

    await check_sink(lambda: RedisSink(server.url), received=received)
