"""How `EngineSocket.open` gets its connection: address, proxy, TLS and upgrade, within one time limit."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHeader, InvalidStatus, NegotiationError, WebSocketException
from websockets.headers import validate_subprotocols
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, NetworkMisconfigured
from patter_core.net.connect import connect_tcp
from patter_core.net.dns import addresses_of
from patter_core.net.engine_connection import CLOSE_TIMEOUT, EngineConnection, quiet
from patter_core.net.proxies import Proxy, proxy_for
from patter_core.net.retry_after import is_passing, seconds_asked
from patter_core.net.tls import tls_context
from patter_core.observe.terminal import one_line

__all__ = ["open_connection"]

_WRITE_LIMIT = 8 * 1024
"""Bytes in our own buffer from which on the peer counts as slow: 0.7 s of audio."""
_LONGEST_REASON = 200
"""Characters that are quoted of why an engine refuses."""
_REDIRECTS = {300, 301, 302, 303, 307, 308}
_SUBPROTOCOL = "Sec-WebSocket-Protocol"


async def open_connection(
    url: str,
    *,
    headers: Mapping[str, str] | None,
    subprotocols: Sequence[str],
    max_size: int,
    open_timeout: float,
    reason_header: str,
) -> EngineConnection:
    """Connects, and watches for signs of life from then on. Arguments and errors are those of `EngineSocket.open`."""
    upgrade = {"additional_headers": headers, "subprotocols": _offered(subprotocols), "max_size": max_size}
    try:
        async with asyncio.timeout(open_timeout):
            connection = await _open(url, upgrade)
    except InvalidStatus as error:
        raise _refused(error.response, reason_header) from None
    except TimeoutError:
        raise EngineTimeout(
            "The engine did not answer.", retry=True, expected=f"a connection within {open_timeout:g} s"
        ) from None
    except NetworkMisconfigured as error:
        raise EngineError(
            f"The engine cannot be reached. {error.problem}",
            expected=error.expected,
            got=error.got,
            remedy=error.remedy,
        ) from None
    except (OSError, ValueError, WebSocketException) as error:  # ValueError: no URL, or no header
        raise _no_connection(error) from None
    _prefer_fresh_audio(connection.transport)
    connection.watch()
    return connection


class _Connect(connect):
    """The library's opening of a connection, which follows no redirect: the headers would go with it."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _open(url: str, upgrade: Mapping[str, Any]) -> EngineConnection:
    """Connects; `upgrade` is what the library is told of headers, subprotocols and sizes."""
    target = parse_uri(url)
    tls = {"ssl": await tls_context()} if target.secure else {}
    proxy = proxy_for(url, socks_package="python_socks")
    if proxy is not None:
        to_proxy: dict[str, Any] = {}
        if proxy.scheme == "https":
            to_proxy = {"proxy_ssl": await tls_context(), "proxy_server_hostname": proxy.host}
        answering = msgspec.structs.replace(proxy, host=await _address(proxy))
        return await _upgrade(url, proxy=answering.url, **upgrade, **tls, **to_proxy)
    connected = await connect_tcp(target.host, target.port)
    try:
        return await _upgrade(url, proxy=None, sock=connected, **upgrade, **tls)
    except BaseException:
        connected.close()  # its transport has done so, unless it was not made
        raise


async def _address(proxy: Proxy) -> str:
    """Returns the address of a proxy; of several, one that answers. The library would try one after the other."""
    addresses = [str(at[0]) for _, _, _, _, at in await addresses_of(proxy.host, proxy.port)]
    if len(addresses) == 1:
        return addresses[0]
    with await connect_tcp(proxy.host, proxy.port) as answering:
        return str(answering.getpeername()[0])


async def _upgrade(url: str, **options: Any) -> EngineConnection:
    """Options are those of the library."""
    connection = await _Connect(
        url,
        create_connection=EngineConnection,
        logger=quiet,
        compression=None,  # audio does not shrink
        open_timeout=None,  # `EngineSocket.open` has one for all of it
        ping_interval=None,  # `watch` pings, and wants no answer from a peer that talks
        close_timeout=CLOSE_TIMEOUT,
        write_limit=_WRITE_LIMIT,
        **options,
    )
    assert isinstance(connection, EngineConnection)  # what create_connection makes
    return connection


def _offered(subprotocols: Sequence[str]) -> Sequence[Subprotocol] | None:
    """Returns subprotocols as the library wants them.

    Raises:
        EngineError: one of them is not the name of a subprotocol.
    """
    names = cast("Sequence[Subprotocol]", subprotocols)
    try:
        validate_subprotocols(names)
    except (TypeError, ValueError):  # TypeError: a text in place of a list
        raise EngineError(
            "A subprotocol of the engine's socket has a name that cannot be sent.",
            expected="a list of names, of ASCII letters, digits and !#$%&'*+-.^_`|~",
        ) from None
    return names or None


def _no_connection(error: Exception) -> EngineError:
    if isinstance(error, NegotiationError) or (isinstance(error, InvalidHeader) and error.name == _SUBPROTOCOL):
        return EngineError(
            "The engine selected a subprotocol or an extension that it was not offered.",
            expected="one of the subprotocols that were offered, or none; no extension",
            remedy="Check the engine's base URL: it may be that of another service.",
        )
    return EngineError(
        "The engine cannot be reached.",
        retry=True,
        got=type(error).__name__,
        remedy="Check the network, and the engine's base URL if one is set.",
    )


def _refused(response: Response, reason_header: str) -> EngineRefused:
    status = response.status_code
    redirect = status in _REDIRECTS
    reason = one_line(_header(response, reason_header))[:_LONGEST_REASON] if reason_header else ""
    return EngineRefused(
        "The engine refused the connection.",
        status=status,
        retry=is_passing(status),
        retry_after=seconds_asked(_header(response, "Retry-After"), time.time()),
        expected="an upgrade, and no redirect: it is not followed, since keys would go with it" if redirect else "",
        got=f"HTTP status {status}" + (f" ({reason})" if reason else ""),
        remedy="Set the engine's base URL to the address that it redirects to." if redirect else "",
    )


def _header(response: Response, name: str) -> str:
    """Returns a header; one that comes several times is joined, as HTTP says."""
    return ", ".join(response.headers.get_all(name))


def _prefer_fresh_audio(transport: asyncio.BaseTransport) -> None:
    """Keeps the kernel from holding seconds of unsent audio: what waits should wait where it can be dropped."""
    peer = transport.get_extra_info("socket")
    if peer is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _WRITE_LIMIT)
