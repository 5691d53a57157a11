"""The sink: a stream for each call, and one with the beginning and end of every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import anyio
import msgspec

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError, SinkRefused, SinkUnavailable
from patter_core.events import CallAnnounced, CallEnded, CallMoved, Record
from patter_core.sink import EventSink
from patter_redis.client import Client, Command

__all__ = ["RedisSink"]

_AT_ONCE = 16
"""Transactions, each with a connection of its own."""


class RedisSink(EventSink):
    """Adds each record to the stream `<prefix>:call:<call id>`, as the fields `id` and `record` (JSON).

    The first and the last record of each call are in the stream `<prefix>:calls` as well, as an index of calls. What a
    batch has of one call is added whole or not at all. After a connection loss a record may be added twice; its `id`
    is the same.

    Args:
        url: of the server, or of any node of a cluster; from PATTER_REDIS_URL if empty.
        prefix: of all keys.
        length: how many records a call's stream keeps, the latest; the stream of all calls keeps ten times as many.
        expiry: seconds after its last record until a call's stream is deleted.

    Raises:
        ConfigurationError: the URL is missing or invalid, or a limit is below 1.
    """

    name: ClassVar[str] = "redis"

    @check_arguments
    def __init__(self, url: str = "", *, prefix: str = "patter", length: int = 10_000, expiry: int = 24 * 3600) -> None:
        if length < 1 or expiry < 1:
            raise ConfigurationError(
                "RedisSink(length=…, expiry=…) is out of range.", expected="1 or more", got=f"{length}, {expiry}"
            )
        self._client = Client(url, parameter="RedisSink(url=…)")
        self._prefix = prefix
        self._length = length
        self._expiry = expiry
        self._batch = _Batch([], {})

    def __repr__(self) -> str:
        return f"<RedisSink {self._client!r}>"

    async def write(self, records: Sequence[Record]) -> None:
        if not self._batch.is_of(records):
            self._batch = _Batch(records, self._commands(records))
        batch = self._batch
        places = anyio.Semaphore(_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for key, commands in batch.left.items():
                await places.acquire()
                tasks.start_soon(self._add, key, commands, batch, places)
        if batch.away is not None:
            raise batch.away
        if batch.refused is not None:
            raise SinkRefused(batch.refused.problem, lost=batch.lost, remedy=batch.refused.remedy)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def check(self) -> Sequence[CheckResult]:
        try:
            (kind,) = await self._client.transact(self._calls, ("TYPE", self._calls))
        except (SinkUnavailable, SinkRefused) as error:
            return (problem_of(error),)
        if kind not in {b"none", b"stream"}:
            remedy = "Choose another prefix=, or delete it."
            return (CheckResult(Level.PROBLEM, f"Redis: {self._calls} is no stream.", remedy),)
        return (CheckResult(Level.OK, "Redis answers."),)

    @property
    def _calls(self) -> str:
        return f"{self._prefix}:calls"

    async def _add(self, key: str, commands: Sequence[Command], batch: _Batch, places: anyio.Semaphore) -> None:
        """Adds to one stream, unless the server was away for another one meanwhile."""
        try:
            if batch.away is None:
                await self._client.transact(key, *commands)
                batch.done.add(key)
        except SinkUnavailable as error:
            batch.away = error
        except SinkRefused as error:
            batch.done.add(key)
            batch.refused = error
            batch.lost += sum(command[0] == "XADD" for command in commands) if key != self._calls else 0
        finally:
            places.release()

    def _commands(self, records: Sequence[Record]) -> dict[str, list[Command]]:
        """Returns the transaction of each stream."""
        commands: dict[str, list[Command]] = {}
        index: list[Command] = []
        for record in records:
            fields = ("*", "id", record.id, "record", msgspec.json.encode(record))
            key = f"{self._prefix}:call:{record.call_id}"
            commands.setdefault(key, []).append(("XADD", key, "MAXLEN", "=", self._length, *fields))
            if isinstance(record.event, CallAnnounced | CallEnded | CallMoved):
                index.append(("XADD", self._calls, "MAXLEN", "~", 10 * self._length, *fields))
        for key, additions in commands.items():
            additions.append(("EXPIRE", key, self._expiry))
        return {**commands, self._calls: index} if index else commands


class _Batch:
    """A batch, which may come again: what of it is added, and what was refused."""

    def __init__(self, records: Sequence[Record], commands: Mapping[str, Sequence[Command]]) -> None:
        self._records = list(records)
        self._commands = commands
        self.done: set[str] = set()
        """The streams that are added to, or never will be."""
        self.refused: SinkRefused | None = None
        self.lost = 0
        """Records of streams that were refused."""
        self.away: SinkUnavailable | None = None

    @property
    def left(self) -> dict[str, Sequence[Command]]:
        """The transactions that are left."""
        return {key: commands for key, commands in self._commands.items() if key not in self.done}

    def is_of(self, records: Sequence[Record]) -> bool:
        """True if these are the same records again. What was away before may be back."""
        self.away = None
        return len(records) == len(self._records) > 0 and all(
            one is other for one, other in zip(records, self._records, strict=True)
        )
