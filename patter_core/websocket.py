"""A WebSocket client for engines, whose sending never waits.

The `websockets` library opens, reads, keeps alive and closes. Only sending is ours, because a carrier's frames cannot
wait for an engine: `ClientConnection.send` awaits a slow peer, while `send_audio` writes through the library's sans-IO
protocol if the peer keeps up, and otherwise keeps the newest audio and drops the oldest.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Mapping

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, SocketClosed

__all__ = ["EngineSocket"]

_WRITE_LIMIT = 8 * 1024
"""Bytes in our own buffer from which on the peer counts as slow: 0.7 s of audio."""
_CONTROL_LIMIT = 512 * 1024
"""Bytes in our own buffer from which on a peer that reads nothing, yet makes us answer, is given up."""
_KEEPALIVE = 5.0
"""Seconds between pings of the WebSocket protocol, and until an unanswered one ends the connection."""
_CLOSE_TIMEOUT = 2.0


class _Connection(ClientConnection):
    """The library's connection; it says when the peer is slow and when no more."""

    on_writable = staticmethod(lambda: None)
    slow = False

    def pause_writing(self) -> None:
        super().pause_writing()
        self.slow = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.slow = False
        self.on_writable()


class EngineSocket:
    """A WebSocket connection to an engine. Text messages out, any message in. Made by `open`."""

    def __init__(self, connection: _Connection, audio_limit: int) -> None:
        self._connection = connection
        self._queued: deque[bytes] = deque(maxlen=audio_limit)
        self._dropped = 0
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
        """Connect.

        Args:
            url: ws:// or wss://. It may hold secrets, so no error shows it.
            headers: sent with the upgrade; may hold secrets too.
            max_size: of one message from the engine, in bytes; a longer one ends the connection with code 1009.
            open_timeout: for all of it, in s.
            audio_limit: how many messages `send_audio` keeps for a slow peer: at 20 ms each, 100 are 2 s.

        Raises:
            EngineRefused: it answered with another status than 101; `status` says which.
            EngineTimeout: it did not answer in time.
            EngineError: it could not be reached, or speaks no WebSocket.
        """
        try:
            connection = await connect(
                url,
                create_connection=_Connection,
                additional_headers=headers,
                compression=None,  # audio does not shrink
                max_size=max_size,
                open_timeout=open_timeout,
                ping_interval=_KEEPALIVE,
                ping_timeout=_KEEPALIVE,
                close_timeout=_CLOSE_TIMEOUT,
                write_limit=_WRITE_LIMIT,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            raise EngineRefused(
                "The engine refused the connection.", status=status, retry=status >= 500, got=f"HTTP status {status}"
            ) from None
        except TimeoutError:
            raise EngineTimeout(
                "The engine did not answer.", retry=True, expected=f"a connection within {open_timeout:g} s"
            ) from None
        except (OSError, WebSocketException) as error:
            raise EngineError(
                "The engine cannot be reached.",
                retry=True,
                got=type(error).__name__,
                remedy="Check the network, and the engine's base URL if one is set.",
            ) from None
        assert isinstance(connection, _Connection)  # what create_connection makes
        _prefer_fresh_audio(connection.transport)
        return cls(connection, audio_limit)

    @property
    def dropped(self) -> int:
        """How many messages of `send_audio` were dropped because the peer did not read."""
        return self._dropped

    def send(self, text: bytes) -> None:
        """Send a text message (UTF-8) at once, ahead of queued audio. After the end it does nothing.

        A peer that lets half a MiB of such messages pile up is cut off: `receive` then raises.
        """
        connection = self._connection
        if connection.protocol.state is not State.OPEN:
            return
        self._write(text)
        if connection.slow and connection.transport.get_write_buffer_size() > _CONTROL_LIMIT:
            connection.transport.abort()

    def send_audio(self, text: bytes) -> None:
        """Send a text message (UTF-8), or keep it while the peer is slow; beyond the bound the oldest is dropped."""
        connection = self._connection
        if connection.protocol.state is not State.OPEN:
            return
        if connection.slow:
            queued = self._queued
            if len(queued) == queued.maxlen:
                self._dropped += 1
            queued.append(text)
        else:
            self._write(text)

    async def receive(self) -> bytes:
        """The next message, text or binary, as bytes. Cancelling it loses nothing.

        Raises:
            SocketClosed: there is none, and there will be none.
        """
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            frame = error.rcvd or error.sent
            raise SocketClosed(frame.code if frame else 1006, frame.reason if frame else "") from None

    async def aclose(self, code: int = 1000) -> None:
        """Close, within 2 s whatever the peer does; again and at any time."""
        self._queued.clear()
        with anyio.CancelScope(shield=True):
            await self._connection.close(code)

    def _write(self, text: bytes) -> None:
        protocol = self._connection.protocol
        write = self._connection.transport.write
        protocol.send_text(text)
        for data in protocol.data_to_send():
            write(data)

    def _flush(self) -> None:
        queued = self._queued
        while queued and not self._connection.slow and self._connection.protocol.state is State.OPEN:
            self._write(queued.popleft())


def _prefer_fresh_audio(transport: asyncio.BaseTransport) -> None:
    """Keep the kernel from holding seconds of unsent audio: what waits should wait where it can be dropped."""
    peer = transport.get_extra_info("socket")
    if peer is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _WRITE_LIMIT)
