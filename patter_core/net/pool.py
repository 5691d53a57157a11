"""Kept HTTP connections of one event loop, straight and through proxies. Loaded with the first request, in a thread."""

from __future__ import annotations

import base64
import select
import socket
import ssl
import urllib.parse
import weakref
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.abc
import anyio.streams.tls
import httpcore

from patter_core import __version__
from patter_core.net.connect import connect_tcp
from patter_core.net.proxies import Proxy, proxy_for
from patter_core.net.tls import make_tls_context

__all__ = ["Connections"]

KEPT = 100
"""Unused connections that are kept."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSAFE_TO_QUOTE = "/?:@!$&'()*+,;=%~[]"
"""What stands in a target as it was given; anything else that is no letter or digit is quoted."""


class Connections:
    """The pools of one event loop: one for straight connections, and one for each proxy, for each time that is kept.

    They have no limit of connections, as a peer that stalls must not hold up others, and know no cookies.
    """

    def __init__(self) -> None:
        self._tls = make_tls_context()
        self._pools: dict[tuple[Proxy | None, float], httpcore.AsyncConnectionPool] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        limits: Mapping[str, float],
        *,
        kept_idle: float,
    ) -> AbstractAsyncContextManager[httpcore.Response]:
        """Sends a request once. Redirects are not followed. `kept_idle`: s that its connection is kept unused.

        Raises:
            NetworkMisconfigured: the environment's proxy cannot be used.
            ValueError: it is no URL.
        """
        parts = urllib.parse.urlsplit(url)
        host = (parts.hostname or "").encode("ascii" if url.isascii() else "idna").decode()
        target = urllib.parse.quote(parts.path or "/", safe=_UNSAFE_TO_QUOTE)
        if parts.query:
            target += f"?{urllib.parse.quote(parts.query, safe=_UNSAFE_TO_QUOTE)}"
        sent = {"host": _authority(host, parts), "accept": "*/*", "user-agent": f"patter/{__version__}"}
        if parts.username is not None:
            sent["authorization"] = _basic(parts.username, parts.password or "")
        sent.update((name.lower(), value) for name, value in headers.items())
        pool = self._pool(proxy_for(url, socks_package="socksio"), kept_idle)
        return pool.stream(
            method,
            httpcore.URL(scheme=parts.scheme, host=host, port=parts.port, target=target),
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
            content=body if body or method not in {"GET", "HEAD", "DELETE"} else None,
            extensions={"timeout": dict(limits)},
        )

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    def abandon(self) -> None:
        """Closes the sockets of an event loop that is closed already."""
        for connected in list(self._sockets):
            connected.close()

    def _pool(self, proxy: Proxy | None, kept_idle: float) -> httpcore.AsyncConnectionPool:
        if (proxy, kept_idle) not in self._pools:
            self._pools[proxy, kept_idle] = httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                proxy=_as_library(proxy, self._tls) if proxy else None,
                max_connections=None,
                max_keepalive_connections=KEPT,
                keepalive_expiry=kept_idle,
                network_backend=_Network(self._sockets),
            )
        return self._pools[proxy, kept_idle]


def _authority(host: str, parts: urllib.parse.SplitResult) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{name}:{parts.port}"


def _basic(name: str, password: str) -> str:
    credentials = f"{urllib.parse.unquote(name)}:{urllib.parse.unquote(password)}"
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


def _as_library(proxy: Proxy, tls: ssl.SSLContext) -> httpcore.Proxy:
    return httpcore.Proxy(
        proxy.origin,
        auth=(proxy.name.encode(), proxy.password.encode()) if proxy.name else None,
        ssl_context=tls if proxy.scheme == "https" else None,
    )


class _Network(httpcore.AsyncNetworkBackend):
    """Connects as `connect_tcp` does."""

    def __init__(self, sockets: weakref.WeakSet[socket.socket]) -> None:
        self._sockets = sockets

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                connected = await connect_tcp(host, port)
                self._sockets.add(connected)
                try:
                    return _Stream(await anyio.abc.SocketStream.from_socket(connected), connected)
                except BaseException:
                    connected.close()
                    raise
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError from error

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection, as the library wants it."""

    def __init__(self, stream: anyio.abc.ByteStream, connected: socket.socket) -> None:
        self._stream = stream
        self._connected = connected

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as above
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:  # OSError: TLS is broken
            raise httpcore.ReadError from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise httpcore.WriteError from error

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                wrapped = await anyio.streams.tls.TLSStream.wrap(
                    self._stream, hostname=server_hostname, ssl_context=ssl_context, standard_compatible=False
                )
        except BaseException as error:
            await anyio.aclose_forcefully(self._stream)
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout from error
            if isinstance(error, (anyio.BrokenResourceError, anyio.EndOfStream, OSError)):  # of which is SSLError
                raise httpcore.ConnectError from error
            raise
        return _Stream(wrapped, self._connected)

    def get_extra_info(self, info: str) -> object:
        if info == "is_readable":  # asked of an idle connection: then the peer has closed it
            return _is_readable(self._connected)
        return None


def _is_readable(connected: socket.socket) -> bool:
    if connected.fileno() < 0:  # it is closed
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connected], [], [], 0)[0])
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))
