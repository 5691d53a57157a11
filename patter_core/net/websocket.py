"""A WebSocket client for engines: sending never waits, and messages are delivered without a queue.

The `websockets` library opens, keeps alive and closes, and its protocol reads and checks every frame. Two things are
ours, because a carrier's frames cannot wait for an engine, and because they come fifty times a second:

* **Sending.** `ClientConnection.send` awaits a slow peer. `send_audio` writes at once if the peer keeps up, else it
  keeps the newest audio and drops the oldest. Masks are cut from a store of random bytes; the library asks the kernel
  for four bytes a frame, which costs a good part of what the write itself does.
* **Receiving.** `deliver` hands a message to a callback as soon as the protocol has read it: no queue and no task stand
  between. Until then `receive` gives what came.

Text messages are UTF-8 in `bytes` both ways, since JSON is read from bytes and written as bytes: they are never decoded
to `str`. So a type cannot tell text from binary. To `deliver` an engine with binary audio gives a callback of its own
for it, and a message that is received is a `BinaryMessage`.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from websockets.protocol import OPEN

from patter_core.errors import SocketClosed
from patter_core.net.engine_connection import UNREAD_LIMIT, BinaryMessage, EngineConnection
from patter_core.net.engine_opening import open_connection

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask

__all__ = ["BinaryMessage", "EngineSocket"]

_CONTROL_LIMIT = 512 * 1024
"""Bytes in our own buffer from which on a peer that reads nothing, yet makes us answer, is given up."""
_MASKS = 1024
"""Bytes of randomness that are fetched at once: masks for 256 frames."""

_FIN_TEXT, _FIN_BINARY, _MASKED = 0x81, 0x82, 0x80
_head_short, _head_medium, _head_long = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")


class EngineSocket:
    """A WebSocket connection to an engine: text and binary messages, both ways. Made by `open`."""

    def __init__(self, connection: EngineConnection, audio_limit: int) -> None:
        self._connection = connection
        self._queued: deque[tuple[bytes, int]] = deque(maxlen=audio_limit)
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
        subprotocols: Sequence[str] = (),
        max_size: int = 16 * 2**20,
        open_timeout: float = 10.0,
        audio_limit: int = 100,
        reason_header: str = "",
    ) -> EngineSocket:
        """Connects.

        Args:
            url: ws:// or wss://. It may hold secrets, so no error shows it.
            headers: sent with the upgrade; may hold secrets too.
            subprotocols: offered to the engine, the preferred one first; may hold secrets too, since some engines take
                a key there. The engine selects one of them or none; `subprotocol` tells which.
            max_size: of one message from the engine, in bytes; a longer one ends the connection with code 1009.
            open_timeout: for all of it, in s.
            audio_limit: how many messages `send_audio` keeps for a slow peer: at 20 ms each, 100 are 2 s.
            reason_header: the header in which the engine says why it refuses; the error's `got` quotes it.

        Raises:
            EngineRefused: it answered with another status than 101; `status` says which, `retry_after` how long it asks
                to wait. A redirect is not followed.
            EngineTimeout: it did not answer in time.
            EngineError: it could not be reached, speaks no WebSocket, or selected what was not offered.
        """
        connection = await open_connection(
            url,
            headers=headers,
            subprotocols=subprotocols,
            max_size=max_size,
            open_timeout=open_timeout,
            reason_header=reason_header,
        )
        return cls(connection, audio_limit)

    @property
    def subprotocol(self) -> str:
        """The one that the engine selected; "" if it selected none."""
        return self._connection.subprotocol or ""

    @property
    def dropped(self) -> int:
        """How many messages of `send_audio` were dropped because the peer did not read."""
        return self._dropped

    # --- sending ---------------------------------------------------------------------------------------------------

    def send(self, message: bytes, binary: bool = False) -> None:
        """Sends a message at once, ahead of queued audio: text (UTF-8), or binary. After the end it does nothing.

        A peer that lets half a MiB of such messages pile up is cut off.
        """
        connection = self._connection
        if connection.protocol.state is not OPEN:
            return
        self._write(message, _FIN_BINARY if binary else _FIN_TEXT)
        if connection.slow and connection.transport.get_write_buffer_size() > _CONTROL_LIMIT:
            connection.transport.abort()

    def send_audio(self, message: bytes, binary: bool = False) -> None:
        """Sends a message, or keeps it while the peer is slow; beyond the bound the oldest is dropped.

        Text (UTF-8), or binary; in one order, whichever they are.
        """
        connection = self._connection
        if connection.protocol.state is not OPEN:
            return
        if connection.slow:
            queued = self._queued
            if len(queued) == queued.maxlen:
                self._dropped += 1
            queued.append((message, _FIN_BINARY if binary else _FIN_TEXT))
        elif binary:
            self._write(message, _FIN_BINARY)
        else:
            self._write(message)

    def _write(self, message: bytes, first: int = _FIN_TEXT) -> None:
        """One whole frame, masked, as RFC 6455, section 5.2, draws it; `first` is its first byte."""
        at = self._mask_at
        if at == len(self._masks):
            self._masks, at = os.urandom(_MASKS), 0
        self._mask_at = at + 4
        mask = self._masks[at : at + 4]
        size = len(message)
        if size < 126:
            head = _head_short.pack(first, _MASKED | size)
        elif size < 65_536:
            head = _head_medium.pack(first, _MASKED | 126, size)
        else:
            head = _head_long.pack(first, _MASKED | 127, size)
        self._connection.transport.write(head + mask + apply_mask(message, mask))

    def _flush(self) -> None:
        queued = self._queued
        while queued and not self._connection.slow and self._connection.protocol.state is OPEN:
            self._write(*queued.popleft())

    # --- receiving -------------------------------------------------------------------------------------------------

    def deliver(
        self,
        on_message: Callable[[bytes], None],
        on_closed: Callable[[SocketClosed], None],
        *,
        on_binary: Callable[[bytes], None] | None = None,
    ) -> None:
        """Calls `on_message` with each message from here on, and `on_closed` at the end, once.

        Binary messages go to `on_binary`. Without it they go to `on_message` too: there are engines that put their JSON
        into binary messages, and one that expects nothing but JSON has to bear other text in any case.

        All are called by the event loop, must not wait and must not raise. What has come already is delivered first.
        The socket is read as fast as it fills, so the callbacks have to bound what they keep. May be called again, also
        by a callback: then others take over.
        """
        connection = self._connection
        connection.on_text = on_message
        connection.on_binary = on_binary or on_message
        connection.on_lost = lambda: on_closed(self._closed())
        while connection.unread:
            message = connection.unread.popleft()
            if type(message) is BinaryMessage:
                connection.on_binary(message)
            else:
                connection.on_text(message)
        if connection.lost:
            connection.loop.call_soon(connection.on_lost)
        else:
            connection.read_on()

    async def receive(self) -> bytes:
        """The next message, text (UTF-8) or binary: this is a `BinaryMessage`. Not after `deliver`.

        Cancelling it loses nothing.

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
