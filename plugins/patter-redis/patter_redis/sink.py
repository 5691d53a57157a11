"""The sink: a stream for each call, and one with the beginning and end of every call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from patter_core.errors import ConfigurationError
from patter_core.events import CallAnnounced, CallEnded, CallMoved, Record
from patter_core.sink import EventSink
from patter_redis.client import Client, Command

__all__ = ["RedisSink"]


class RedisSink(EventSink):
    """Adds each record to the stream `<prefix>:call:<call id>`, as the fields `id` and `record` (JSON).

    The first and the last record of each call are in the stream `<prefix>:calls` as well, as an index of calls. A batch
    is added whole or not at all. After a connection loss a record may be added twice; its `id` is the same.

    Args:
        url: of the server; from PATTER_REDIS_URL if empty.
        prefix: of all keys.
        length: how many records a call's stream keeps, the latest; the stream of all calls keeps ten times as many.
        expiry: seconds after its last record until a call's stream is deleted.

    Raises:
        ConfigurationError: the URL is missing or invalid, or a limit is below 1.
    """

    name: ClassVar[str] = "redis"

    def __init__(self, url: str = "", *, prefix: str = "patter", length: int = 10_000, expiry: int = 24 * 3600) -> None:
        if length < 1 or expiry < 1:
            raise ConfigurationError(
                "RedisSink(length=…, expiry=…) is out of range.", expected="1 or more", got=f"{length}, {expiry}"
            )
        self._client = Client(url, parameter="RedisSink(url=…)")
        self._prefix = prefix
        self._length = length
        self._expiry = expiry

    def __repr__(self) -> str:
        return f"<RedisSink {self._client!r}>"

    async def write(self, records: Sequence[Record]) -> None:
        calls = dict.fromkeys(f"{self._prefix}:call:{record.call_id}" for record in records)
        await self._client.transact(
            *(command for record in records for command in self._additions(record)),
            *(("EXPIRE", key, self._expiry) for key in calls),
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    def _additions(self, record: Record) -> Iterator[Command]:
        fields = ("*", "id", record.id, "record", msgspec.json.encode(record))
        yield ("XADD", f"{self._prefix}:call:{record.call_id}", "MAXLEN", "=", self._length, *fields)
        if isinstance(record.event, CallAnnounced | CallEnded | CallMoved):
            yield ("XADD", f"{self._prefix}:calls", "MAXLEN", "~", 10 * self._length, *fields)
