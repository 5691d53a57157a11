"""A Redis client whose commands run in transactions. Every failure is `SinkUnavailable`; the next call reconnects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from patter_core.config import required
from patter_core.errors import ConfigurationError, SinkUnavailable, StoreUnavailable

if TYPE_CHECKING:  # slow to load, and needed with the first command only
    from redis.asyncio import Redis

__all__ = ["Client", "Command"]

Command = Sequence[str | bytes | int]

_CONNECT_TIMEOUT = 3.0
_TIMEOUT = 5.0
"""Seconds for a reply: less than a sink's time for a batch."""


class Client:
    """A client that connects with its first command, and reconnects after a connection loss.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`; from PATTER_REDIS_URL if empty. Never shown: it may hold a
            password.
        parameter: its name as the user writes it, for errors.
        unavailable: the error for a server that cannot be reached.

    Raises:
        ConfigurationError: the URL is missing or invalid.
    """

    def __init__(
        self, url: str, *, parameter: str, unavailable: type[SinkUnavailable | StoreUnavailable] = SinkUnavailable
    ) -> None:
        self._unavailable = unavailable
        self._url = required(url, parameter=parameter, variable="PATTER_REDIS_URL", where="in the server's settings")
        if urlsplit(self._url).scheme not in {"redis", "rediss", "unix"}:
            raise ConfigurationError("Invalid Redis URL.", expected="redis://…, rediss://… or unix://…")
        self._redis: Redis | None = None

    def __repr__(self) -> str:
        return f"<Client of {urlsplit(self._url).hostname or 'a socket'}>"

    async def transact(self, *commands: Command) -> list[object]:
        """Runs all commands, or none. Returns their replies.

        Raises:
            SinkUnavailable, StoreUnavailable: the server cannot be reached, or refused. If the reply was lost, the
                commands have run.
        """
        from redis.exceptions import RedisError  # noqa: PLC0415 - see above

        try:
            pipeline = self._connected().pipeline(transaction=True)
            for command in commands:
                pipeline.execute_command(*command)
            replies: object = await pipeline.execute()
        except (RedisError, OSError) as error:
            raise self._unavailable(f"Redis failed: {type(error).__name__}.") from error
        return msgspec.convert(replies, list[object])

    async def aclose(self) -> None:
        """Closes all connections. Idempotent."""
        if self._redis is not None:
            await self._redis.aclose()
            self._redis = None

    def _connected(self) -> Redis:
        if self._redis is None:
            from redis.asyncio import Redis  # noqa: PLC0415 - see above
            from redis.asyncio.retry import Retry  # noqa: PLC0415 - see above
            from redis.backoff import NoBackoff  # noqa: PLC0415 - see above

            self._redis = Redis.from_url(
                self._url,
                socket_connect_timeout=_CONNECT_TIMEOUT,
                socket_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 0),  # callers retry
            )
        return self._redis
