"""A WebSocket client for engines: sending never waits, and messages are delivered without a queue.

The `websockets` library opens, keeps alive and closes, and its protocol reads and checks every frame. Two things are
ours, because a carrier's frames cannot wait for an engine, and because they come fifty times a second:

* **Sending.** `ClientConnection.send` awaits a slow peer. `send_audio` writes at once if the peer keeps up, else it
  keeps the newest audio and drops the oldest. Masks are cut from a store of random bytes; the library asks the kernel
  for four bytes a frame, which costs a good part of what the write itself does.
* **Receiving.** `deliver` hands a message to a callback as soon as the protocol has read it: no queue and no task stand
  between. Until then `receive` gives what came.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, NetworkMisconfigured, SocketClosed
from patter_core.net.connect import connect_tcp
from patter_core.net.dns import addresses_of
from patter_core.net.engine_connection import CLOSE_TIMEOUT, UNREAD_LIMIT, EngineConnection, quiet
from patter_core.net.proxies import Proxy, proxy_for
from patter_core.net.retry_after import is_passing, seconds_asked
from patter_core.net.tls import tls_context

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask

__all__ = ["EngineSocket"]

_WRITE_LIMIT = 8 * 1024
"""Bytes in our own buffer from which on the peer counts as slow: 0.7 s of audio."""
_CONTROL_LIMIT = 512 * 1024
"""Bytes in our own buffer from which on a peer that reads nothing, yet makes us answer, is given up."""
_MASKS = 1024
"""Bytes of randomness that are fetched at once: masks for 256 frames."""
_REDIRECTS = {300, 301, 302, 303, 307, 308}

_FIN_TEXT, _MASKED = 0x81, 0x80
_head_short, _head_medium, _head_long = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")


class EngineSocket:
    """A WebSocket connection to an engine. Text messages out, any message in. Made by `open`."""

    def __init__(self, connection: EngineConnection, audio_limit: int) -> None:
        self._connection = connection
        self._queued: deque[bytes] = deque(maxlen=audio_limit)
        self._dropped = 0
        self._masks = b""
        self._mask_at = 0
        connection.on_writable = self._flush

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_size: int = 16 * 2**20,
        open_timeout: float = 10.0,
        audio_limit: int = 100,
    ) -> EngineSocket:
        """Connects.

        Args:
            url: ws:// or wss://. It may hold secrets, so no error shows it.
            headers: sent with the upgrade; may hold secrets too.
            max_size: of one message from the engine, in bytes; a longer one ends the connection with code 1009.
            open_timeout: for all of it, in s.
            audio_limit: how many messages `send_audio` keeps for a slow peer: at 20 ms each, 100 are 2 s.

        Raises:
            EngineRefused: it answered with another status than 101; `status` says which, `retry_after` how long it asks
                to wait. A redirect is not followed.
            EngineTimeout: it did not answer in time.
            EngineError: it could not be reached, or speaks no WebSocket.
        """
        try:
            async with asyncio.timeout(open_timeout):
                connection = await _open(url, headers, max_size)
        except InvalidStatus as error:
            raise _refused(error.response) from None
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
            raise EngineError(
                "The engine cannot be reached.",
                retry=True,
                got=type(error).__name__,
                remedy="Check the network, and the engine's base URL if one is set.",
            ) from None
        _prefer_fresh_audio(connection.transport)
        connection.watch()
        return cls(connection, audio_limit)

    @property
    def dropped(self) -> int:
        """How many messages of `send_audio` were dropped because the peer did not read."""
        return self._dropped

    # --- sending ---------------------------------------------------------------------------------------------------

    def send(self, text: bytes) -> None:
        """Sends a text message (UTF-8) at once, ahead of queued audio. After the end it does nothing.

        A peer that lets half a MiB of such messages pile up is cut off.
        """
        connection = self._connection
        if connection.protocol.state is not OPEN:
            return
        self._write(text)
        if connection.slow and connection.transport.get_write_buffer_size() > _CONTROL_LIMIT:
            connection.transport.abort()

    def send_audio(self, text: bytes) -> None:
        """Sends a text message (UTF-8), or keeps it while the peer is slow; beyond the bound the oldest is dropped."""
        connection = self._connection
        if connection.protocol.state is not OPEN:
            return
        if connection.slow:
            queued = self._queued
            if len(queued) == queued.maxlen:
                self._dropped += 1
            queued.append(text)
        else:
            self._write(text)

    def _write(self, text: bytes) -> None:
        """One whole text frame, masked, as RFC 6455, section 5.2, draws it."""
        at = self._mask_at
        if at == len(self._masks):
            self._masks, at = os.urandom(_MASKS), 0
        self._mask_at = at + 4
        mask = self._masks[at : at + 4]
        size = len(text)
        if size < 126:
            head = _head_short.pack(_FIN_TEXT, _MASKED | size)
        elif size < 65_536:
            head = _head_medium.pack(_FIN_TEXT, _MASKED | 126, size)
        else:
            head = _head_long.pack(_FIN_TEXT, _MASKED | 127, size)
        self._connection.transport.write(head + mask + apply_mask(text, mask))

    def _flush(self) -> None:
        queued = self._queued
        while queued and not self._connection.slow and self._connection.protocol.state is OPEN:
            self._write(queued.popleft())

    # --- receiving -------------------------------------------------------------------------------------------------

    def deliver(self, on_message: Callable[[bytes], None], on_closed: Callable[[SocketClosed], None]) -> None:
        """Calls `on_message` with each message from here on, text or binary, and `on_closed` at the end, once.

        Both are called by the event loop, must not wait and must not raise. What has come already is delivered first.
        The socket is read as fast as it fills, so `on_message` has to bound what it keeps. May be called again, also by
        `on_message`: then others take over.
        """
        connection = self._connection
        connection.on_message = on_message
        connection.on_lost = lambda: on_closed(self._closed())
        while connection.unread:
            connection.on_message(connection.unread.popleft())
        if connection.lost:
            connection.loop.call_soon(connection.on_lost)
        else:
            connection.read_on()

    async def receive(self) -> bytes:
        """The next message, text or binary, as bytes. Cancelling it loses nothing. Not after `deliver`.

        Raises:
            SocketClosed: the socket is closed, and no message is left.
        """
        connection = self._connection
        while not connection.unread:
            if connection.lost:
                raise self._closed()
            connection.changed.clear()
            await connection.changed.wait()
        message = connection.unread.popleft()
        if len(connection.unread) == UNREAD_LIMIT - 1:
            connection.read_on()
        return message

    async def aclose(self, code: int = 1000) -> None:
        """Closes, within 0.5 s whatever the peer does; without a wait if the present task is cancelled. Idempotent."""
        self._queued.clear()
        await self._connection.end(code)

    def _closed(self) -> SocketClosed:
        frame = self._connection.protocol.close_rcvd or self._connection.protocol.close_sent
        return SocketClosed(frame.code if frame else 1006, frame.reason if frame else "")


class _Connect(connect):
    """The library's opening of a connection, which follows no redirect: the headers would go with it."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _open(url: str, headers: Mapping[str, str] | None, max_size: int) -> EngineConnection:
    target = parse_uri(url)
    tls = {"ssl": await tls_context()} if target.secure else {}
    proxy = proxy_for(url, socks_package="python_socks")
    if proxy is not None:
        to_proxy: dict[str, Any] = {}
        if proxy.scheme == "https":
            to_proxy = {"proxy_ssl": await tls_context(), "proxy_server_hostname": proxy.host}
        answering = msgspec.structs.replace(proxy, host=await _address(proxy))
        return await _upgrade(url, headers, max_size, proxy=answering.url, **tls, **to_proxy)
    connected = await connect_tcp(target.host, target.port)
    try:
        return await _upgrade(url, headers, max_size, proxy=None, sock=connected, **tls)
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


async def _upgrade(url: str, headers: Mapping[str, str] | None, max_size: int, **options: Any) -> EngineConnection:
    """Options are those of the library."""
    connection = await _Connect(
        url,
        create_connection=EngineConnection,
        logger=quiet,
        additional_headers=headers,
        compression=None,  # audio does not shrink
        max_size=max_size,
        open_timeout=None,  # `EngineSocket.open` has one for all of it
        ping_interval=None,  # `watch` pings, and wants no answer from a peer that talks
        close_timeout=CLOSE_TIMEOUT,
        write_limit=_WRITE_LIMIT,
        **options,
    )
    assert isinstance(connection, EngineConnection)  # what create_connection makes
    return connection


def _refused(response: Response) -> EngineRefused:
    status = response.status_code
    redirect = status in _REDIRECTS
    return EngineRefused(
        "The engine refused the connection.",
        status=status,
        retry=is_passing(status),
        retry_after=seconds_asked(response.headers.get("Retry-After", ""), time.time()),
        expected="an upgrade, and no redirect: it is not followed, since keys would go with it" if redirect else "",
        got=f"HTTP status {status}",
        remedy="Set the engine's base URL to the address that it redirects to." if redirect else "",
    )


def _prefer_fresh_audio(transport: asyncio.BaseTransport) -> None:
    """Keeps the kernel from holding seconds of unsent audio: what waits should wait where it can be dropped."""
    peer = transport.get_extra_info("socket")
    if peer is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _WRITE_LIMIT)
