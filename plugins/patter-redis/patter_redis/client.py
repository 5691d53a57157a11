"""A Redis client: transactions of one key each, on a single server or on a cluster, whose redirections it follows.

A transaction has one key, so it runs on one node, whole. Its commands are of one type of key, so that either all of
them fail for a key of another type, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import msgspec

from patter_core.config import Setting
from patter_core.errors import ConfigurationError, SinkUnavailable, StoreUnavailable
from patter_redis.failures import Failure, text_of

if TYPE_CHECKING:  # slow to load, and needed with the first command only
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

__all__ = ["Client", "Command"]

Command = Sequence[str | bytes | int]

_PORT = 6379
_CONNECT_TIMEOUT = 3.0
_TIMEOUT = 5.0
"""Seconds for a reply: less than a sink's time for a batch."""
_REDIRECTIONS = 5
"""Of one transaction; more mean that the nodes disagree."""


class Client:
    """A client that connects with its first command, and reconnects after a connection loss.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`; from PATTER_REDIS_URL if empty. Any node of a cluster will do.
            Never shown: it may hold a password.
        parameter: its name as the user writes it, for errors.
        failure: makes the errors.

    Raises:
        ConfigurationError: the URL is missing or invalid.
    """

    def __init__(self, url: str, *, parameter: str, failure: Failure | None = None) -> None:
        self._failure = failure or Failure()
        setting = Setting(url, parameter, "PATTER_REDIS_URL")
        self._url = setting.required("in the server's settings")
        try:
            scheme, self.place = urlsplit(self._url).scheme, _place_of(self._url)
        except ValueError:  # its text has the URL
            scheme = self.place = ""
        if scheme not in {"redis", "rediss", "unix"}:
            raise ConfigurationError(
                f"{setting.name} is not the URL of a Redis server.", expected="redis://…, rediss://… or unix://…"
            )
        self._nodes: dict[str, Redis] = {}
        """Clients by URL: of the one that was given, and of those that it redirected to."""
        self._entry = self._url
        """The node that is asked for a key whose node is not known."""
        self._slots: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"<Client of {self.place}>"

    async def transact(self, key: str, *commands: Command) -> list[object]:
        """Runs all commands, or none. Returns their replies.

        Args:
            key: the one key of all commands; "" if they have none.
            commands: to run, in order.

        Raises:
            SinkUnavailable, StoreUnavailable: the server cannot be reached, or cannot do it now. If the reply was lost,
                the commands have run.
            SinkRefused, StoreRefused: it will never do it.
        """
        from redis.crc import key_slot  # noqa: PLC0415 - see above
        from redis.exceptions import MovedError, RedisError  # noqa: PLC0415 - see above

        slot = key_slot(key.encode())
        for _ in range(_REDIRECTIONS):
            node = self._slots.get(slot, self._entry)
            try:
                return await self._run(node, commands)
            except MovedError as error:
                self._slots[slot] = self._url_of(error.host or urlsplit(node).hostname or "", error.port)
            except (RedisError, OSError) as error:
                found = self._sorted(error, node)
                if isinstance(found, SinkUnavailable | StoreUnavailable):
                    self._forget(node)
                raise found from error
        raise self._failure.answer("MOVED", f"more than {_REDIRECTIONS} times")

    async def aclose(self) -> None:
        """Closes all connections. Idempotent."""
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            await node.aclose()

    async def _run(self, node: str, commands: Sequence[Command]) -> list[object]:
        pipeline = self._connected(node).pipeline(transaction=True)
        for command in commands:
            pipeline.execute_command(*command)
        replies: object = await pipeline.execute()
        return msgspec.convert(replies, list[object])

    def _connected(self, url: str) -> Redis:
        if url not in self._nodes:
            from redis.asyncio import Redis  # noqa: PLC0415 - see above
            from redis.asyncio.retry import Retry  # noqa: PLC0415 - see above
            from redis.backoff import NoBackoff  # noqa: PLC0415 - see above

            self._nodes[url] = Redis.from_url(
                url,
                socket_connect_timeout=_CONNECT_TIMEOUT,
                socket_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 0),  # callers retry
            )
        return self._nodes[url]

    def _url_of(self, host: str, port: int) -> str:
        """Returns the URL of another node: the same credentials and options."""
        parts = urlsplit(self._url)
        user, at, _ = parts.netloc.rpartition("@")
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return urlunsplit(parts._replace(netloc=f"{user}{at}{place}"))

    def _forget(self, node: str) -> None:
        """After a failure of a node: its keys are looked for at another one, which may know who has them now."""
        self._slots = {slot: url for slot, url in self._slots.items() if url != node}
        others = [url for url in (self._url, *self._nodes) if url != node]
        self._entry = others[0] if others and node == self._entry else self._entry

    def _sorted(self, error: RedisError | OSError, node: str) -> Exception:
        from redis import exceptions  # noqa: PLC0415 - see above

        code: str = getattr(error, "status_code", None) or ""
        if isinstance(error, exceptions.BusyLoadingError):
            code = "LOADING"
        elif isinstance(error, exceptions.AuthenticationError):
            code = code or "NOAUTH"
        elif isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError | OSError):
            cause = error.__cause__ or error.__context__  # the client's own error says less
            return self._failure.unreachable(_place_of(node), cause if isinstance(cause, OSError) else error)
        text = text_of(str(error))
        if not code:  # the client knows no class for it, and leaves it in the text
            code, _, text = text.partition(" ")
        return self._failure.answer(code, text)


def _place_of(url: str) -> str:
    """Returns where a server is, and its database; of the URL's rest nothing is shown.

    Raises:
        ValueError: the URL is none.
    """
    parts = urlsplit(url)
    database = dict(parse_qsl(parts.query)).get("db", "") or parts.path.strip("/")
    database = database if database.isdecimal() else "0"  # else it may be a part of a password
    if parts.scheme == "unix":
        return f"{parts.path} ({database})"
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or _PORT}/{database}"
