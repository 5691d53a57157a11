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
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Event

from patter_core.errors import EngineError, EngineRefused, EngineTimeout, SocketClosed

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask

__all__ = ["EngineSocket"]

_quiet = logging.getLogger("patter.websocket")
"""What the library logs to. At level DEBUG it would log URLs, headers and frames: keys, and what people say."""
_quiet.setLevel(logging.INFO)

_WRITE_LIMIT = 8 * 1024
"""Bytes in our own buffer from which on the peer counts as slow: 0.7 s of audio."""
_CONTROL_LIMIT = 512 * 1024
"""Bytes in our own buffer from which on a peer that reads nothing, yet makes us answer, is given up."""
_UNREAD_LIMIT = 16
"""Messages that wait for `receive` before the socket is no longer read."""
_LOOK = 0.5
"""Seconds between two looks for a sign of life; a peer that gave none since the last one is sent a ping."""
_DEAD_AFTER = 5
"""Looks without a sign after which the connection is cut: a caller hears nothing all that time."""
_CLOSE_TIMEOUT = 2.0
_MASKS = 1024
"""Bytes of randomness that are fetched at once: masks for 256 frames."""

_TEXT, _BINARY, _CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
_FIN_TEXT, _FIN_PING, _MASKED = 0x81, 0x89, 0x80
_head_short, _head_medium, _head_long = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")


def _nothing() -> None:
    """There is no callback yet."""


class _Connection(ClientConnection):
    """The library's connection, which delivers whole messages, and calls back when the peer is slow, or gone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # those of the library's class
        super().__init__(*arguments, **options)
        self.slow = False
        self.lost = False
        self.unread: deque[bytes] = deque()
        self.changed = asyncio.Event()
        """Something came for `unread`, or the connection is lost."""
        self.on_message: Callable[[bytes], None] = self._keep
        self.on_writable: Callable[[], None] = _nothing
        self.on_lost: Callable[[], None] = _nothing
        self._parts: list[bytes] = []
        self._alive = True
        self._looks = 0
        self._next_look: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Cuts the connection if its peer gives no sign of life. Frames are looked for, not timed: there are many."""
        if self._alive or len(self.unread) >= _UNREAD_LIMIT:  # then it is not read, and may say what it will
            self._alive, self._looks = False, 0
        else:
            self._looks += 1
            if self._looks >= _DEAD_AFTER:
                self.transport.abort()
                return
            if not self.transport.is_closing():
                self.transport.write(_head_short.pack(_FIN_PING, _MASKED) + os.urandom(4))
        self._next_look = self.loop.call_later(_LOOK, self.watch)

    def process_event(self, event: Event) -> None:
        self._alive = True
        if type(event) is not Frame or not (event.opcode is _TEXT or event.opcode is _BINARY or event.opcode is _CONT):
            super().process_event(event)
        elif event.fin and not self._parts:
            self.on_message(bytes(event.data))
        else:
            self._parts.append(bytes(event.data))
            if event.fin:
                whole = b"".join(self._parts)
                self._parts.clear()
                self.on_message(whole)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.slow = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.slow = False
        self.on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._next_look is not None:
            self._next_look.cancel()
        self.lost = True
        self.changed.set()
        self.on_lost()

    def _keep(self, message: bytes) -> None:
        self.unread.append(message)
        self.changed.set()
        if len(self.unread) == _UNREAD_LIMIT:
            self.transport.pause_reading()

    def drop_messages(self) -> None:
        """Reads on to the close frame, and passes nothing on."""
        self.on_message = lambda _message: None
        self.unread.clear()
        self.transport.resume_reading()


class EngineSocket:
    """A WebSocket connection to an engine. Text messages out, any message in. Made by `open`."""

    def __init__(self, connection: _Connection, audio_limit: int) -> None:
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
            EngineRefused: it answered with another status than 101; `status` says which.
            EngineTimeout: it did not answer in time.
            EngineError: it could not be reached, or speaks no WebSocket.
        """
        try:
            connection = await connect(
                url,
                create_connection=_Connection,
                logger=_quiet,
                additional_headers=headers,
                compression=None,  # audio does not shrink
                max_size=max_size,
                open_timeout=open_timeout,
                ping_interval=None,  # `watch` pings, and wants no answer from a peer that talks
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
            connection.transport.resume_reading()

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
        if len(connection.unread) == _UNREAD_LIMIT and not connection.lost:
            connection.transport.resume_reading()
        return connection.unread.popleft()

    async def aclose(self, code: int = 1000) -> None:
        """Closes, within 2 s whatever the peer does. Idempotent."""
        self._queued.clear()
        if not self._connection.lost:
            self._connection.drop_messages()
        with anyio.CancelScope(shield=True):
            await self._connection.close(code)

    def _closed(self) -> SocketClosed:
        frame = self._connection.protocol.close_rcvd or self._connection.protocol.close_sent
        return SocketClosed(frame.code if frame else 1006, frame.reason if frame else "")


def _prefer_fresh_audio(transport: asyncio.BaseTransport) -> None:
    """Keeps the kernel from holding seconds of unsent audio: what waits should wait where it can be dropped."""
    peer = transport.get_extra_info("socket")
    if peer is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _WRITE_LIMIT)
