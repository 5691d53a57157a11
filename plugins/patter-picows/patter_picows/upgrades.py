"""Opens engines' sockets and takes media sockets over, with picows."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

import aiofastnet
from picows import (
    WSAutoPingStrategy,
    WSError,
    WSInvalidStatusError,
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

from patter_core.net.client_link import WRITE_LIMIT, ClientLink
from patter_core.net.transport import Dial, Ended, SocketLimits, UpgradeMismatch, UpgradeRefused
from patter_core.transport import SocketHandler
from patter_picows.client import PicowsLink
from patter_picows.frames import BoundedProtocol, quiet
from patter_picows.served import PicowsSocket

__all__ = ["accept", "connect"]

_READ_BUFFER = 4096
"""Bytes, at first. A message that is longer makes it grow."""
_TLS_BUFFER = 16 * 1024 + 256
"""Bytes for the encrypted side, each way: a TLS record. The default is 256 KiB."""
_SUBPROTOCOL = "Sec-WebSocket-Protocol"
_TAKEN = set("\r\n\0")

_ClientFactory = Callable[[WSUpgradeRequest, WSUpgradeResponse], WSListener]
_ServerFactory = Callable[[WSUpgradeRequest], WSUpgradeResponseWithListener]


async def connect(dial: Dial, connected: socket.socket, tls: ssl.SSLContext | None) -> ClientLink:
    """Upgrades a connection to an engine, as `Transport` says."""
    link = PicowsLink(dial.max_size)
    protocol = _client_protocol(dial, lambda _request, _response: link)
    stream: asyncio.Transport | None = None
    try:
        stream = await _connect(protocol, dial, connected, tls)
        stream.set_write_buffer_limits(high=WRITE_LIMIT)
        await protocol.wait_until_handshake_complete()
        if protocol.listener is None:
            raise ConnectionError("the peer has closed the connection")
        link.agree(_selected(dial, protocol.transport.response))
    except WSInvalidStatusError as error:
        raise _refused(error) from None
    except WSError as error:
        raise ValueError(type(error).__name__) from None
    else:
        connected = cast("socket.socket", None)
        return link
    finally:
        if connected is not None:
            if stream is not None:
                stream.abort()
            connected.close()


def accept(
    stream: asyncio.Transport,
    key: str,
    *,
    subprotocol: str,
    limits: SocketLimits,
    handler: SocketHandler,
    ended: Ended,
    lost: Callable[[], None],
) -> PicowsSocket:
    """Takes a media socket over, as `Transport` says."""
    served = PicowsSocket(subprotocol, limits=limits, handler=handler, ended=ended, lost=lost)
    selected = [(_SUBPROTOCOL, subprotocol)] if subprotocol else []
    answer = WSUpgradeResponse.create_101_response(selected)
    protocol = _server_protocol(limits.max_size, lambda _request: WSUpgradeResponseWithListener(answer, served))
    protocol.connection_made(stream)
    request = (
        "GET / HTTP/1.1\r\nHost: patter\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()
    room = protocol.get_buffer(len(request))
    room[: len(request)] = request
    protocol.buffer_updated(len(request))
    stream.set_protocol(protocol)
    return served


def _client_protocol(dial: Dial, factory: _ClientFactory) -> BoundedProtocol:
    headers = list(dial.headers.items())
    if dial.credentials:
        headers.append(("Authorization", dial.credentials))
    if dial.subprotocols:
        headers.append((_SUBPROTOCOL, ", ".join(dial.subprotocols)))
    if any(_TAKEN & {*name, *value} for name, value in headers):
        raise ValueError("a header has a line break")
    return _protocol(dial.authority, dial.resource, factory, dial.max_size, headers)


def _server_protocol(max_size: int, factory: _ServerFactory) -> BoundedProtocol:
    return _protocol(None, None, factory, max_size, None)


def _protocol(
    authority: str | None,
    resource: str | None,
    factory: _ClientFactory | _ServerFactory,
    max_size: int,
    headers: list[tuple[str, str]] | None,
) -> BoundedProtocol:
    """Picows' protocol, of a client if there is an authority. Time limits, pings and pongs are ours."""
    return BoundedProtocol(
        authority,
        resource,
        authority is not None,
        factory,
        quiet,
        True,
        None,
        False,
        0,
        0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,
        max_size,
        headers,
        _READ_BUFFER,
    )


async def _connect(
    protocol: BoundedProtocol, dial: Dial, connected: socket.socket, tls: ssl.SSLContext | None
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    if tls is None:
        stream, _ = await loop.create_connection(lambda: protocol, sock=connected)
        return stream
    stream, _ = await aiofastnet.create_connection(
        loop,
        lambda: protocol,
        sock=connected,
        ssl=tls,
        server_hostname=dial.host,
        ssl_incoming_bio_size=_TLS_BUFFER,
        ssl_outgoing_bio_size=_TLS_BUFFER,
    )
    return stream


def _selected(dial: Dial, answer: WSUpgradeResponse) -> str:
    """Returns the subprotocol that the peer selected, or "".

    Raises:
        UpgradeMismatch: it was not offered, or an extension was selected, too.
    """
    selected = answer.headers.getall(_SUBPROTOCOL, [])
    if len(selected) > 1 or not {*selected} <= {*dial.subprotocols} or "Sec-WebSocket-Extensions" in answer.headers:
        raise UpgradeMismatch("not offered")
    return selected[0] if selected else ""


def _refused(error: WSInvalidStatusError) -> Exception:
    answer = error.response
    if answer is None:
        return ValueError("no answer")
    headers = {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}
    return UpgradeRefused(int(answer.status), headers)
