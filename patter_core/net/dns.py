"""Looks up the addresses of hosts, in threads that are bounded per host and in all.

An event loop has few threads for lookups (stock asyncio six on a small machine, uvloop four), and a host whose name
server does not answer occupies one for each connection that is tried: then no other host is looked up any more, the
carrier's API included. Here, lookups of one host are shared by all who wait for it; a few more are started while none
of them answers; and other hosts have their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from collections.abc import Sequence

from aiohappyeyeballs import AddrInfoType

from patter_core.aio.threads import DaemonThreads

__all__ = ["addresses_of"]

PER_HOST = 3
"""Lookups of one host at once. A thread that hangs cannot be stopped."""
IN_ALL = 64
"""Lookups at once. Beyond it, a lookup of another host fails at once."""
_ANOTHER_AFTER = 1.0
"""Seconds after which a lookup that has not answered is no longer joined, and another is started."""

_Found = Sequence[AddrInfoType] | OSError


class _Lookup:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.began = loop.time()
        self.answer: asyncio.Future[_Found] = loop.create_future()
        self.task: asyncio.Task[None] | None = None
        """Held here: an event loop holds its tasks by weak references only."""

    def settle(self, found: _Found) -> None:
        if not self.answer.done():
            self.answer.set_result(found)


class _Resolver:
    """The lookups of one event loop."""

    def __init__(self) -> None:
        self._threads = DaemonThreads(IN_ALL)
        self._running: dict[str, list[_Lookup]] = {}

    async def look_up(self, host: str) -> Sequence[AddrInfoType]:
        found = await asyncio.shield(self._lookup(host).answer)  # others wait for it, too
        if isinstance(found, OSError):
            raise found
        return found

    def _lookup(self, host: str) -> _Lookup:
        loop = asyncio.get_running_loop()
        running = self._running.get(host, [])
        if running and (loop.time() - running[-1].began < _ANOTHER_AFTER or len(running) == PER_HOST):
            return running[-1]
        lookup = _Lookup(loop)
        if self._threads.full:
            lookup.settle(socket.gaierror(socket.EAI_AGAIN, "too many lookups hang"))
            return lookup
        self._running.setdefault(host, []).append(lookup)
        lookup.task = loop.create_task(self._run(host, lookup))
        return lookup

    async def _run(self, host: str, lookup: _Lookup) -> None:
        running = self._running[host]
        found: _Found = socket.gaierror(socket.EAI_AGAIN, "the event loop ends")
        try:
            found = await self._threads.run(socket.getaddrinfo, host, 0, type=socket.SOCK_STREAM)
        except OSError as error:
            found = error
        except (UnicodeError, RuntimeError) as error:  # no host's name; no more threads
            found = socket.gaierror(socket.EAI_NONAME, str(error))
        finally:
            running.remove(lookup)
            if not running:
                del self._running[host]
            for waiting in [lookup] if isinstance(found, OSError) else [lookup, *running]:
                waiting.settle(found)


_resolvers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Resolver] = weakref.WeakKeyDictionary()


async def addresses_of(host: str, port: int) -> Sequence[AddrInfoType]:
    """Returns the addresses of a host, as `socket.getaddrinfo` does for TCP.

    Raises:
        OSError: it has none, or too many lookups hang.
    """
    found = _literal(host) or await _resolver().look_up(host)
    return [(family, kind, protocol, name, (at[0], port, *at[2:])) for family, kind, protocol, name, at in found]


def _resolver() -> _Resolver:
    loop = asyncio.get_running_loop()
    resolver = _resolvers.get(loop)
    if resolver is None:
        resolver = _resolvers[loop] = _Resolver()
    return resolver


def _literal(host: str) -> Sequence[AddrInfoType]:
    """Returns the address that the host is; nothing if it is a name. That takes no thread."""
    with contextlib.suppress(OSError, UnicodeError):
        return socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return []
