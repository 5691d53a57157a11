"""The shared call store: what was said so far, for whichever worker goes on with a call."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patter_core.errors import ConfigurationError, SinkUnavailable
from patter_core.store import DEFAULT_EXPIRY, LINES_KEPT, CallStore, Utterance
from patter_redis.client import Client, Command

__all__ = ["RedisCallStore"]


class RedisCallStore(CallStore):
    """Keeps each call's lines in the list `<prefix>:said:<call id>`, the latest thousand.

    Args:
        url: of the server; from PATTER_REDIS_URL if empty.
        prefix: of all keys.
        expiry: seconds for which a call is kept after its last line.

    Raises:
        ConfigurationError: there is no URL, it is wrong, or the expiry makes no sense.
    """

    def __init__(self, url: str = "", *, prefix: str = "patter", expiry: float = DEFAULT_EXPIRY) -> None:
        self._expiry_ms = int(expiry * 1000)
        if self._expiry_ms < 1:
            raise ConfigurationError(
                "RedisCallStore's expiry makes no sense.", expected="seconds above 0", got=f"{expiry:g}"
            )
        self._client = Client(url, parameter="RedisCallStore(url=…)")
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"<RedisCallStore {self._client!r}>"

    async def append(self, call_id: str, line: Utterance) -> None:
        key = self._key(call_id)
        await self._asked(
            ("RPUSH", key, msgspec.json.encode(line)),
            ("LTRIM", key, -LINES_KEPT, -1),
            ("PEXPIRE", key, self._expiry_ms),
        )

    async def history(self, call_id: str) -> Sequence[Utterance]:
        (raw,) = await self._asked(("LRANGE", self._key(call_id), 0, -1))
        return tuple(msgspec.json.decode(line, type=Utterance) for line in msgspec.convert(raw, list[bytes]))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _asked(self, *commands: Command) -> list[object]:
        """Ask once more if it fails: a connection that was kept may be one to a server that is gone."""
        try:
            return await self._client.transact(*commands)
        except SinkUnavailable:
            return await self._client.transact(*commands)

    def _key(self, call_id: str) -> str:
        return f"{self._prefix}:said:{call_id}"
