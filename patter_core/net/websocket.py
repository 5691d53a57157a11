"""A WebSocket client for engines: sending never waits, and messages are delivered without a queue.

A transport opens the connection, and reads and writes frames: the library `websockets`, or a plugin. The rest is here
and in `ClientLink`, since a carrier's frames cannot wait for an engine, and come fifty times a second:

* **Sending.** `send_audio` writes at once if the peer keeps up, else it keeps the newest audio and drops the oldest.
* **Receiving.** `deliver` hands a message to a callback as soon as the transport has read it: no queue and no task
  stand between. Until then `receive` gives what came.

Text messages are UTF-8 in `bytes` both ways, since JSON is read from bytes and written as bytes. So a type cannot tell
text from binary. To `deliver` an engine with binary audio gives a callback of its own for it, and a message that is
received is a `BinaryMessage`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from patter_core.errors import SocketClosed
from patter_core.net.client_link import UNREAD_LIMIT, BinaryMessage, ClientLink
from patter_core.net.engine_opening import Dial, open_connection

__all__ = ["BinaryMessage", "EngineSocket"]

_CONTROL_LIMIT = 512 * 1024
"""Bytes in our own buffer from which on a peer that reads nothing, yet makes us answer, is given up."""


class EngineSocket:
    """A WebSocket connection to an engine: text and binary messages, both ways. Made by `open`."""

    def __init__(self, connection: ClientLink, audio_limit: int) -> None:
        self._connection = connection
        self._queued: list[tuple[bytes, bool]] = []
        self._audio_limit = audio_limit
        self._dropped = 0
        connection.on_writable = self._flush

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        vendor: str = "The engine",
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        max_size: int = 16 * 2**20,
        open_timeout: float = 10.0,
        audio_limit: int = 100,
        reason_header: str = "",
    ) -> EngineSocket:
        """Connects.

        Args:
            url: ws:// or wss://. It may hold secrets, so errors show its host alone.
            vendor: whose service it is, for errors.
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
        dial = Dial(url=url, headers=headers or {}, subprotocols=subprotocols, max_size=max_size)
        return cls(await open_connection(dial, vendor, open_timeout, reason_header), audio_limit)

    @property
    def subprotocol(self) -> str:
        """The one that the engine selected; "" if it selected none."""
        return self._connection.agreed

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
        connection.write(message, binary)
        if connection.slow and connection.transport.get_write_buffer_size() > _CONTROL_LIMIT:
            connection.transport.abort()

    def send_audio(self, message: bytes, binary: bool = False) -> None:
        """Sends a message, or keeps it while the peer is slow; beyond the bound the oldest is dropped.

        Text (UTF-8), or binary; in one order, whichever they are.
        """
        connection = self._connection
        if connection.slow and connection.is_open:
            queued = self._queued
            queued.append((message, binary))
            if len(queued) > self._audio_limit:
                del queued[0]
                self._dropped += 1
        else:
            connection.write(message, binary)

    def _flush(self) -> None:
        queued = self._queued
        while queued and not self._connection.slow and self._connection.is_open:
            self._connection.write(*queued.pop(0))

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
            message = connection.unread.pop(0)
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
        message = connection.unread.pop(0)
        if len(connection.unread) == UNREAD_LIMIT - 1:
            connection.read_on()
        return message

    async def aclose(self, code: int = 1000) -> None:
        """Closes, within 0.5 s whatever the peer does; without a wait if the present task is cancelled. Idempotent."""
        self._queued.clear()
        await self._connection.end(code)

    def _closed(self) -> SocketClosed:
        return SocketClosed(*self._connection.ended_with)
