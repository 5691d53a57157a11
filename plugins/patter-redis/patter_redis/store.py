"""The shared call store: the history of each call, for any worker that continues it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio
import msgspec

from patter_core.checks import CheckResult, Level, problem_of
from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError, StoreRefused, StoreUnavailable
from patter_core.store import (
    DEFAULT_EXPIRY,
    LINES_KEPT,
    CallStore,
    HistoryLine,
    Lease,
    decode_lines,
    encode_line,
)
from patter_redis.client import Client, Command
from patter_redis.failures import Failure
from patter_redis.leases import KEEP, RELEASE, TAKE

__all__ = ["RedisCallStore"]

_TIMEOUT = 2.0
"""Seconds for both attempts together: as long as the host waits."""


class RedisCallStore(CallStore):
    """Keeps the lines of each call in the list `<prefix>:said:<call id>`, the latest thousand.

    Leases are in `{<prefix>:leases}:until`, `:token` and `:over`: scripts change them, on one node of a cluster.

    Args:
        url: of the server, or of any node of a cluster; from PATTER_REDIS_URL if empty.
        prefix: of all keys.
        expiry: seconds for which a call is kept after its last line.

    Raises:
        ConfigurationError: the URL is missing or invalid, or the expiry is not positive.
    """

    name: ClassVar[str] = "redis"
    leases: ClassVar[bool] = True

    @check_arguments
    def __init__(self, url: str = "", *, prefix: str = "patter", expiry: float = DEFAULT_EXPIRY) -> None:
        self._expiry_ms = int(expiry * 1000)
        if self._expiry_ms < 1:
            raise ConfigurationError(
                "RedisCallStore(expiry=…) is not positive.", expected="more than 0 seconds", got=f"{expiry:g}"
            )
        failure = Failure(StoreUnavailable, StoreRefused)
        self._client = Client(url, parameter="RedisCallStore(url=…)", failure=failure)
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"<RedisCallStore {self._client!r}>"

    async def append(self, call_id: str, line: HistoryLine) -> None:
        key = self._key(call_id)
        await self._transact(
            key,
            ("RPUSH", key, encode_line(line)),
            ("LTRIM", key, -LINES_KEPT, -1),
            ("PEXPIRE", key, self._expiry_ms),
        )

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        key = self._key(call_id)
        (raw,) = await self._transact(key, ("LRANGE", key, 0, -1))
        return decode_lines(msgspec.convert(raw, list[bytes]))

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        return bool(await self._change_leases(KEEP, lease.call_id, lease.token, int(seconds * 1000)))

    async def release_lease(self, lease: Lease) -> None:
        await self._change_leases(RELEASE, lease.call_id, lease.token)

    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        taken = await self._change_leases(TAKE, int(seconds * 1000))
        pairs = msgspec.convert(taken, list[tuple[bytes, bytes]])
        return [Lease(call_id.decode(), token.decode()) for call_id, token in pairs]

    async def _change_leases(self, script: str, *arguments: str | int) -> object:
        keys = [f"{{{self._prefix}:leases}}:{name}" for name in ("until", "token", "over")]
        (reply,) = await self._transact(keys[0], ("EVAL", script, len(keys), *keys, *arguments))
        return reply

    async def aclose(self) -> None:
        await self._client.aclose()

    async def check(self) -> Sequence[CheckResult]:
        try:
            await self._transact("", ("PING",))
        except (StoreUnavailable, StoreRefused) as error:
            return (problem_of(error),)
        return (CheckResult(Level.OK, "Redis answers."),)

    async def _transact(self, key: str, *commands: Command) -> list[object]:
        """Runs a transaction, a second time if it fails: a kept connection may be one to a server that has gone."""
        with anyio.move_on_after(_TIMEOUT):
            try:
                return await self._client.transact(key, *commands)
            except StoreUnavailable:
                return await self._client.transact(key, *commands)
        raise StoreUnavailable(
            f"Redis at {self._client.place} does not answer.",
            expected=f"an answer within {_TIMEOUT:g} s",
            remedy="Check that it runs, the URL, and the way there.",
        )

    def _key(self, call_id: str) -> str:
        return f"{self._prefix}:said:{call_id}"
