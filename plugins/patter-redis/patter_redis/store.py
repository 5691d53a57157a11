"""The shared call store: the history of each call, for any worker that continues it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patter_core.errors import ConfigurationError, SinkUnavailable
from patter_core.store import DEFAULT_EXPIRY, LINES_KEPT, CallStore, Utterance
from patter_redis.client import Client, Command

__all__ = ["RedisCallStore"]


class RedisCallStore(CallStore):
    """Keeps the lines of each call in the list `<prefix>:said:<call id>`, the latest thousand.

    Args:
        url: of the server; from PATTER_REDIS_URL if empty.
        prefix: of all keys.
        expiry: seconds for which a call is kept after its last line.

    Raises:
        ConfigurationError: the URL is missing or invalid, or the expiry is not positive.
    """

    def __init__(self, url: str = "", *, prefix: str = "patter", expiry: float = DEFAULT_EXPIRY) -> None:
        self._expiry_ms = int(expiry * 1000)
        if self._expiry_ms < 1:
            raise ConfigurationError(
                "RedisCallStore(expiry=…) is not positive.", expected="more than 0 seconds", got=f"{expiry:g}"
            )
        self._client = Client(url, parameter="RedisCallStore(url=…)")
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"<RedisCallStore {self._client!r}>"

    async def append(self, call_id: str, line: Utterance) -> None:
        key = self._key(call_id)
        await self._transact(
            ("RPUSH", key, msgspec.json.encode(line)),
            ("LTRIM", key, -LINES_KEPT, -1),
            ("PEXPIRE", key, self._expiry_ms),
        )

    async def history(self, call_id: str) -> Sequence[Utterance]:
        (raw,) = await self._transact(("LRANGE", self._key(call_id), 0, -1))
        return tuple(msgspec.json.decode(line, type=Utterance) for line in msgspec.convert(raw, list[bytes]))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _transact(self, *commands: Command) -> list[object]:
        """Run the commands, and once more if that fails: the server may have restarted since the last ones."""
        try:
            return await self._client.transact(*commands)
        except SinkUnavailable:
            return await self._client.transact(*commands)

    def _key(self, call_id: str) -> str:
        return f"{self._prefix}:said:{call_id}"
