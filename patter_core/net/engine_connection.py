"""The connection of the library `websockets` below `EngineSocket`: the reference for other transports.

The library opens and closes, and its protocol reads and checks every frame. Frames are written without it: masks are
cut from a store of random bytes, since the library asks the kernel for four bytes a frame, which costs a good part of
what the write itself does. A read that is one whole message needs no parser. What comes in small reads is passed on at
once. A long read is passed on in pieces, and the event loop has its turn between two pieces that hold many frames.
"""

from __future__ import annotations

import asyncio
import os
import struct
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Event

from patter_core.net.client_link import COUNTED, COUNTED_SIZE, PIECE, UNREAD_LIMIT, ClientLink
from patter_core.net.frames import Boundary, apply_mask, lone
from patter_core.net.tls import shrink_buffer

__all__ = ["EngineConnection"]

_MASKS = 1024
"""Bytes of randomness that are fetched at once: masks for 256 frames."""

_pass_on = ClientConnection.data_received
_TEXT, _BINARY, _CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
_FIN_TEXT, _FIN_BINARY, _MASKED = 0x81, 0x82, 0x80
_head_short, _head_medium, _head_long = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")
_ping = _head_short.pack(0x89, _MASKED)


class EngineConnection(ClientLink, ClientConnection):
    """The library's connection, which delivers whole messages, and calls back when the peer is slow, or gone.

    Args:
        arguments: those of the library's class; so are `options`.
        most: bytes of one message of the peer.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop

    def __init__(self, *arguments: Any, most: int, **options: Any) -> None:
        ClientConnection.__init__(self, *arguments, **options)
        ClientLink.__init__(self)
        self._parts: list[bytes] = []
        self._parts_are_binary = False
        self._made = False
        self._boundary = Boundary()
        self._most = most
        self._held = bytearray()
        """Read from the network, and not passed on yet."""
        self._passing_on = False
        self._masks = b""
        self._mask_at = 0

    # --- what goes -------------------------------------------------------------------------------------------------

    @property
    def agreed(self) -> str:
        """As in `ClientLink`."""
        return self.subprotocol or ""

    @property
    def is_open(self) -> bool:
        """As in `ClientLink`."""
        return self.protocol.state is OPEN

    @property
    def ended_with(self) -> tuple[int, str]:
        """As in `ClientLink`."""
        frame = self.protocol.close_rcvd or self.protocol.close_sent
        return (frame.code, frame.reason) if frame else (1006, "")

    def write(self, message: bytes, binary: bool = False) -> None:
        """One whole frame, masked, as RFC 6455, section 5.2, draws it."""
        if self.protocol.state is not OPEN:
            return
        at = self._mask_at
        if at == len(self._masks):
            self._masks, at = os.urandom(_MASKS), 0
        self._mask_at = at + 4
        mask = self._masks[at : at + 4]
        size = len(message)
        first = _FIN_BINARY if binary else _FIN_TEXT
        if size < 126:
            head = _head_short.pack(first, _MASKED | size)
        elif size < 65_536:
            head = _head_medium.pack(first, _MASKED | 126, size)
        else:
            head = _head_long.pack(first, _MASKED | 127, size)
        self.transport.write(head + mask + apply_mask(message, mask))

    def write_ping(self) -> None:
        """As in `ClientLink`."""
        self.transport.write(_ping + os.urandom(4))

    def say_goodbye(self, code: int, reason: str) -> None:
        """As in `ClientLink`."""
        if self.protocol.state is OPEN:
            self.protocol.send_close(code, reason)
            for data in self.protocol.data_to_send():
                if data:
                    self.transport.write(data)

    async def shake_goodbye(self, code: int) -> None:
        """As in `ClientLink`."""
        await self.close(code)

    def refuse(self, code: int, reason: str) -> None:
        """As in `ClientLink`."""
        super().refuse(code, reason)
        self._held.clear()

    # --- what comes ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if len(data) <= PIECE and not self._held:
            message = lone(data, self._most) if self._boundary.here and self.protocol.state is OPEN else None
            if message is None:
                self._read(data)
            else:
                self.alive = True
                self.frames += 1
                (self._pass_on_text if data[0] == _FIN_TEXT else self.on_binary)(message)
            if self.frames >= COUNTED:
                self.count()
            return
        self._held += data
        self.read_on()
        if self._held:
            self.transport.pause_reading()

    def _read(self, data: bytes) -> None:
        """Has the library read it."""
        self._boundary.pass_over(data)
        _pass_on(self, data)

    def eof_received(self) -> None:
        while self._held:  # the peer has closed: nothing more comes
            self._pass_on_piece()
        ClientConnection.eof_received(self)

    def read_on(self) -> None:
        """As in `ClientLink`."""
        if self._passing_on or self.pause is not None or self.lost:
            return
        self._passing_on = True
        try:
            while self._held:
                if len(self.unread) >= UNREAD_LIMIT:
                    return
                self._pass_on_piece()
                if self.frames >= COUNTED or self.size >= COUNTED_SIZE:
                    self.count()
                    if self._pauses():
                        return
        finally:
            self._passing_on = False
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _pauses(self) -> bool:
        """True if nothing is passed on now. With no reason but that more is held, the event loop has its turn."""
        if self.pause is None and self._held and not self.transport.is_closing():
            self.pause = self.loop.call_soon(self.end_pause)
        return self.pause is not None

    def _pass_on_piece(self) -> None:
        piece = bytes(self._held[:PIECE])
        del self._held[:PIECE]
        self._read(piece)
        self.size += len(piece)

    def process_event(self, event: Event) -> None:
        self.alive = True
        self.frames += 1
        if type(event) is not Frame:
            super().process_event(event)
        elif event.opcode is _TEXT and event.fin:  # between the parts of another message, the protocol has refused it
            self._pass_on_text(bytes(event.data))
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
            (self.on_binary if self._parts_are_binary else self._pass_on_text)(whole)

    def _pass_on_text(self, text: bytes) -> None:
        if not text.isascii():
            try:
                text.decode()
            except UnicodeDecodeError:
                self.refuse(CloseCode.INVALID_DATA, "a text message is not UTF-8")
                return
        self.on_text(text)

    # --- the peer is slow, or gone ---------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self.became_slow()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.became_writable()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        shrink_buffer(transport)
        self._made = True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._made:  # TLS through a proxy failed
            return
        super().connection_lost(exc)
        self._held.clear()
        self.became_lost()
