"""The connection below `EngineSocket`: it delivers whole messages, looks for signs of life, and bounds what it reads.

What comes in small reads is passed on at once. A long read is passed on in pieces, and the event loop has its turn
between two pieces that hold many frames: of the smallest frames, a read may hold a hundred thousand. What a peer sends
beyond a `Budget` is read more slowly, and then no more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Event

from patter_core.net.budget import Budget

__all__ = ["CLOSE_TIMEOUT", "UNREAD_LIMIT", "BinaryMessage", "EngineConnection", "quiet"]

quiet = logging.getLogger("patter.websocket")
"""What the library logs to. At level DEBUG it would log URLs, headers and frames: keys, and what people say."""
quiet.setLevel(logging.INFO)

UNREAD_LIMIT = 16
"""Messages that wait for `EngineSocket.receive` before the socket is no longer read."""
CLOSE_TIMEOUT = 0.5
"""Seconds that the peer has to answer a close frame. It has read it then, or never will; the next engine waits."""
_LOOK = 0.5
"""Seconds between two looks for a sign of life; a peer that gave none since the last one is sent a ping."""
_DEAD_AFTER = 5
"""Looks without a sign after which the connection is cut: a caller hears nothing all that time."""
_PIECE = 4096
"""Bytes that are passed on at once."""
_COUNTED = 64
"""Frames after which they are counted against the budget."""
_COUNTED_SIZE = 256 * 1024
"""Bytes, likewise: of long reads, as many bytes do not come in short ones."""

_pass_on = ClientConnection.data_received
_TEXT, _BINARY, _CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
_ping = struct.Struct("!BB").pack(0x89, 0x80)


def _nothing() -> None:
    """There is no callback yet."""


class BinaryMessage(bytes):
    """A binary message, as `EngineSocket.receive` returns it. A text message is plain `bytes`, of UTF-8."""

    __slots__ = ()


class EngineConnection(ClientConnection):
    """The library's connection, which delivers whole messages, and calls back when the peer is slow, or gone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # those of the library's class
        super().__init__(*arguments, **options)
        self.slow = False
        self.lost = False
        self.unread: deque[bytes] = deque()
        self.changed = asyncio.Event()
        """Something came for `unread`, or the connection is lost."""
        self.on_text: Callable[[bytes], None] = self._keep
        self.on_binary: Callable[[bytes], None] = self._keep_binary
        self.on_writable: Callable[[], None] = _nothing
        self.on_lost: Callable[[], None] = _nothing
        self._parts: list[bytes] = []
        self._parts_are_binary = False
        self._made = False
        self._alive = True
        self._looks = 0
        self._next_look: asyncio.TimerHandle | None = None
        self._budget = Budget()
        self._frames = 0
        self._size = 0
        self._warned = False
        self._held = bytearray()
        """Read from the network, and not passed on yet."""
        self._passing_on = False
        self._pause: asyncio.Handle | None = None
        """Ends the pause in which nothing is passed on."""

    def watch(self) -> None:
        """Cuts the connection if its peer gives no sign of life. Frames are looked for, not timed: there are many."""
        unread = self._pause is not None or len(self.unread) >= UNREAD_LIMIT  # then it may say what it will
        if self._alive or unread:
            self._alive, self._looks = False, 0
        else:
            self._looks += 1
            if self._looks >= _DEAD_AFTER:
                self.transport.abort()
                return
            if not self.transport.is_closing():
                self.transport.write(_ping + os.urandom(4))
        self._next_look = self.loop.call_later(_LOOK, self.watch)

    # --- what comes ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if len(data) <= _PIECE and not self._held:
            _pass_on(self, data)
            if self._frames >= _COUNTED:
                self._count()
            return
        self._held += data
        self.read_on()
        if self._held:
            self.transport.pause_reading()

    def eof_received(self) -> None:
        while self._held:  # the peer has closed: nothing more comes
            self._pass_on_piece()
        super().eof_received()

    def read_on(self) -> None:
        """Passes on what is held, and then reads the socket again; not during a pause, nor while messages wait."""
        if self._passing_on or self._pause is not None or self.lost:
            return
        self._passing_on = True
        try:
            while self._held:
                if len(self.unread) >= UNREAD_LIMIT:
                    return
                self._pass_on_piece()
                if self._frames >= _COUNTED or self._size >= _COUNTED_SIZE:
                    self._count()
                    if self._pauses():
                        return
        finally:
            self._passing_on = False
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _pauses(self) -> bool:
        """True if nothing is passed on now. With no reason but that more is held, the event loop has its turn."""
        if self._pause is None and self._held and not self.transport.is_closing():
            self._pause = self.loop.call_soon(self._end_pause)
        return self._pause is not None

    def _pass_on_piece(self) -> None:
        piece = bytes(self._held[:_PIECE])
        del self._held[:_PIECE]
        _pass_on(self, piece)
        self._size += len(piece)

    def _count(self) -> None:
        pause = self._budget.spend(self._frames, self._size, self.loop.time())
        self._frames = self._size = 0
        if not pause or self._pause is not None or self.transport.is_closing():
            return
        if pause == math.inf:
            self._refuse()
            return
        if not self._warned:
            self._warned = True
            quiet.warning("An engine sends more than a conversation can need. It is read more slowly, then given up.")
        self.transport.pause_reading()
        self._pause = self.loop.call_later(pause, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        self._alive = True
        self.read_on()

    def process_event(self, event: Event) -> None:
        self._alive = True
        self._frames += 1
        if type(event) is not Frame:
            super().process_event(event)
        elif event.opcode is _TEXT and event.fin:  # between the parts of another message, the protocol has refused it
            self.on_text(bytes(event.data))
        elif event.opcode is _BINARY and event.fin:
            self.on_binary(bytes(event.data))
        elif event.opcode is _TEXT or event.opcode is _BINARY or event.opcode is _CONT:
            self._take_part(event)
        else:
            super().process_event(event)

    def _take_part(self, frame: Frame) -> None:
        if frame.opcode is not _CONT:
            self._parts_are_binary = frame.opcode is _BINARY
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            (self.on_binary if self._parts_are_binary else self.on_text)(whole)

    def _keep(self, message: bytes) -> None:
        self.unread.append(message)
        self.changed.set()
        if len(self.unread) == UNREAD_LIMIT:
            self.transport.pause_reading()

    def _keep_binary(self, message: bytes) -> None:
        self._keep(BinaryMessage(message))

    def drop_messages(self) -> None:
        """Reads on to the close frame, and passes nothing on."""
        self.on_text = self.on_binary = lambda _message: None
        self.unread.clear()
        self.read_on()

    # --- the peer is slow, or gone ---------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self.slow = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.slow = False
        self.on_writable()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made = True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._made:  # TLS through a proxy failed
            return
        super().connection_lost(exc)
        for timer in (self._next_look, self._pause):
            if timer is not None:
                timer.cancel()
        self._held.clear()
        self.lost = True
        self.changed.set()
        self.on_lost()

    # --- the end ---------------------------------------------------------------------------------------------------

    async def end(self, code: int) -> None:
        """Closes, within 0.5 s; if the present task is cancelled, at once."""
        if self.lost:
            return
        self.drop_messages()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            self._send_close(code, "")
            self.loop.call_soon(self.transport.abort)  # uvloop writes at the end of an iteration
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.close(code)
        except TimeoutError:
            pass
        finally:
            self.transport.abort()

    def _refuse(self) -> None:
        self._send_close(CloseCode.POLICY_VIOLATION, "more than a conversation can need")
        self._held.clear()
        self.transport.close()
        self.loop.call_later(CLOSE_TIMEOUT, self.transport.abort)

    def _send_close(self, code: int, reason: str) -> None:
        if self.protocol.state is OPEN:
            self.protocol.send_close(code, reason)
            for data in self.protocol.data_to_send():
                if data:
                    self.transport.write(data)
