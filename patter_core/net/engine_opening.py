"""How `EngineSocket.open` gets its connection: address, proxy, TLS and upgrade, within one time limit."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHeader, InvalidStatus, NegotiationError, WebSocketException
from websockets.headers import build_authorization_basic, build_host, validate_subprotocols
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from patter_core.errors import EngineError, EngineRefused, EngineTimeout
from patter_core.net.client_link import CLOSE_TIMEOUT, WRITE_LIMIT, ClientLink, quiet
from patter_core.net.connect import connect_tcp
from patter_core.net.dns import addresses_of
from patter_core.net.engine_connection import EngineConnection
from patter_core.net.peer_name import peer_name
from patter_core.net.proxies import Proxy, proxy_for
from patter_core.net.retry_after import is_passing, seconds_asked
from patter_core.net.served_connection import ServedConnection
from patter_core.net.tls import tls_context
from patter_core.net.transport import (
    Dial,
    Ended,
    SocketLimits,
    Transport,
    UpgradeMismatch,
    UpgradeRefused,
    in_use,
)
from patter_core.net.unreached import engine_unreached, unreached
from patter_core.observe.terminal import one_line
from patter_core.transport import SocketHandler

__all__ = ["Dial", "WebsocketsTransport", "open_connection"]

_LONGEST_REASON = 200
"""Characters that are quoted of why an engine refuses."""
_REDIRECTS = {300, 301, 302, 303, 307, 308}
_SUBPROTOCOL = "Sec-WebSocket-Protocol"


async def open_connection(dial: Dial, vendor: str, open_timeout: float, reason_header: str) -> ClientLink:
    """Connects, and watches for signs of life from then on. Arguments and errors are those of `EngineSocket.open`."""
    _check_subprotocols(dial.subprotocols)
    peer = peer_name(vendor, dial.url)
    try:
        async with asyncio.timeout(open_timeout):
            connection = await _open(dial)
    except UpgradeRefused as error:
        raise _refused(error, peer, reason_header) from None
    except TimeoutError as error:
        told, within = unreached(error, peer), f"a connection within {open_timeout:g} s"
        raise EngineTimeout(told.problem, retry=True, expected=within, remedy=told.remedy) from None
    except (OSError, ValueError, UpgradeMismatch, WebSocketException) as error:  # ValueError: no URL, or no header
        raise _no_connection(error, peer) from None
    _prefer_fresh_audio(connection.transport)
    connection.watch()
    return connection


class WebsocketsTransport(Transport):
    """The library `websockets`, which comes with Patter."""

    name = "websockets"

    async def connect(self, dial: Dial, connected: socket.socket, tls: ssl.SSLContext | None) -> ClientLink:
        """As in `Transport`."""
        with_tls = {} if tls is None else {"ssl": tls}
        try:
            return await _upgrade(dial, proxy=None, sock=connected, **with_tls)
        except BaseException:
            connected.close()  # its transport has done so, unless it was not made
            raise

    def accept(
        self,
        stream: asyncio.Transport,
        key: str,
        *,
        subprotocol: str,
        limits: SocketLimits,
        handler: SocketHandler,
        ended: Ended,
        lost: Callable[[], None],
    ) -> ServedConnection:
        """As in `Transport`."""
        return ServedConnection(
            stream, key, subprotocol=subprotocol, limits=limits, handler=handler, ended=ended, lost=lost
        )


class _Connect(connect):
    """The library's opening of a connection, which follows no redirect: the headers would go with it."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _open(dial: Dial) -> ClientLink:
    """Connects. Through a proxy the library does it all, whichever transport is in use."""
    target = parse_uri(dial.url)
    tls = await tls_context() if target.secure else None
    proxy = proxy_for(dial.url, socks_package="python_socks")
    if proxy is None:
        transport = in_use.get() or WebsocketsTransport()
        return await transport.connect(_aimed(dial, target), await connect_tcp(target.host, target.port), tls)
    options: dict[str, Any] = {} if tls is None else {"ssl": tls}
    if proxy.scheme == "https":
        options |= {"proxy_ssl": await tls_context(), "proxy_server_hostname": proxy.host}
    answering = msgspec.structs.replace(proxy, host=await _address(proxy))
    return await _upgrade(dial, proxy=answering.url, **options)


def _aimed(dial: Dial, target: WebSocketURI) -> Dial:
    """Returns what is asked, with the parts of its URL."""
    return msgspec.structs.replace(
        dial,
        host=target.host,
        authority=build_host(target.host, target.port, target.secure),
        resource=target.resource_name,
        credentials="" if target.user_info is None else build_authorization_basic(*target.user_info),
    )


async def _address(proxy: Proxy) -> str:
    """Returns the address of a proxy; of several, one that answers. The library would try one after the other."""
    addresses = [str(at[0]) for _, _, _, _, at in await addresses_of(proxy.host, proxy.port)]
    if len(addresses) == 1:
        return addresses[0]
    with await connect_tcp(proxy.host, proxy.port) as answering:
        return str(answering.getpeername()[0])


async def _upgrade(dial: Dial, **options: Any) -> ClientLink:
    """Options are those of the library."""
    try:
        connection = await _Connect(
            dial.url,
            create_connection=functools.partial(EngineConnection, most=dial.max_size),  # type: ignore[arg-type] # it calls it
            additional_headers=dial.headers,
            subprotocols=cast("Sequence[Subprotocol]", dial.subprotocols) or None,
            max_size=dial.max_size,
            logger=quiet,
            compression=None,  # audio does not shrink
            open_timeout=None,  # `EngineSocket.open` has one for all of it
            ping_interval=None,  # `watch` pings, and wants no answer from a peer that talks
            close_timeout=CLOSE_TIMEOUT,
            write_limit=WRITE_LIMIT,
            **options,
        )
    except InvalidStatus as error:
        raise UpgradeRefused(error.response.status_code, _joined(error.response)) from None
    except NegotiationError as error:
        raise UpgradeMismatch(str(error)) from None
    except InvalidHeader as error:
        if error.name == _SUBPROTOCOL:
            raise UpgradeMismatch(error.name) from None
        raise
    assert isinstance(connection, EngineConnection)  # what create_connection makes
    connection.request = None  # its headers hold keys, and would stay as long as the connection
    return connection


def _joined(response: Response) -> Mapping[str, str]:
    """Returns the headers by lower-case name; one that comes several times is joined, as HTTP says."""
    headers = response.headers
    return {name.lower(): ", ".join(headers.get_all(name)) for name in headers}


def _check_subprotocols(names: Sequence[str]) -> None:
    """Raises an EngineError if one of them is not the name of a subprotocol."""
    try:
        validate_subprotocols(cast("Sequence[Subprotocol]", names))
    except (TypeError, ValueError):  # TypeError: a text in place of a list
        raise EngineError(
            "A subprotocol of the engine's socket has a name that cannot be sent.",
            expected="a list of names, of ASCII letters, digits and !#$%&'*+-.^_`|~",
        ) from None


def _no_connection(error: Exception, peer: str) -> EngineError:
    if isinstance(error, UpgradeMismatch):
        return EngineError(
            "The engine selected a subprotocol or an extension that it was not offered.",
            expected="one of the subprotocols that were offered, or none; no extension",
            remedy="Check the engine's base URL: it may be that of another service.",
        )
    return engine_unreached(error, peer)


def _refused(answer: UpgradeRefused, peer: str, reason_header: str) -> EngineRefused:
    status = answer.status
    redirect = status in _REDIRECTS
    reason = one_line(answer.headers.get(reason_header.lower(), ""))[:_LONGEST_REASON] if reason_header else ""
    return EngineRefused(
        f"{peer} refused the connection.",
        status=status,
        retry=is_passing(status),
        retry_after=seconds_asked(answer.headers.get("retry-after", ""), time.time()),
        expected="an upgrade, and no redirect: it is not followed, since keys would go with it" if redirect else "",
        got=f"HTTP status {status}" + (f" ({reason})" if reason else ""),
        remedy="Set the engine's base URL to the address that it redirects to." if redirect else "",
    )


def _prefer_fresh_audio(transport: asyncio.BaseTransport) -> None:
    """Keeps the kernel from holding seconds of unsent audio: what waits should wait where it can be dropped."""
    peer = transport.get_extra_info("socket")
    if peer is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError, ValueError):  # the engine has hung up; ValueError is of uvloop's socket
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, WRITE_LIMIT)
