"""A carrier's media socket on the library `websockets`: the reference for other transports.

The library's protocol reads and checks frames. A read that is one whole message, as carriers send audio, needs no
parser, and what is written is no more than a head before the message. Of a long read a piece is passed on at a time.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from patter_core.net.frames import Boundary, lone_masked
from patter_core.net.served_link import ServedLink
from patter_core.net.transport import Ended, SocketLimits
from patter_core.transport import Message, SocketHandler

__all__ = ["ServedConnection"]

_PIECE = 4096
"""Bytes that are passed on at once. Of a longer read, a carrier that floods the socket, the event loop has its turn
between two pieces: of the smallest messages, a read may hold ten thousand."""
_TEXT, _BINARY, _CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
_FIN_TEXT, _FIN_BINARY = 0x81, 0x82
_NOT_UTF8 = 1007
_NO_CODE = 1005
_head_short, _head_medium, _head_long = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")

silent = logging.getLogger("patter.websocket.served")
"""The library says at level INFO that a connection was closed."""
silent.setLevel(logging.WARNING)


class ServedConnection(ServedLink, asyncio.Protocol):
    """An accepted socket.

    Args:
        stream: the connection.
        key: the request's Sec-WebSocket-Key.
        subprotocol: to be selected; "" for none.
        limits: what the peer may do.
        handler: gets the messages.
        ended: as in `ServedLink`.
        lost: likewise.
    """

    def __init__(
        self,
        stream: asyncio.Transport,
        key: str,
        *,
        subprotocol: str,
        limits: SocketLimits,
        handler: SocketHandler,
        ended: Ended,
        lost: Callable[[], None],
    ) -> None:
        super().__init__(subprotocol, limits=limits, handler=handler, ended=ended, lost=lost)
        self.stream = stream
        self._frames = ServerProtocol(state=OPEN, max_size=limits.max_size, logger=silent)
        self._boundary = Boundary()
        self._most = limits.max_size
        self._parts: list[bytes] = []
        self._parts_are_text = False
        self._held = bytearray()
        """Read from the network, and not passed on yet."""
        self._turn: asyncio.Handle | None = None
        selected = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        stream.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{selected}\r\n".encode()
        )
        stream.set_protocol(self)
        self.became_open()

    # --- what goes -------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`."""
        if self.blocked:
            return self.wait(message)
        first = _FIN_BINARY
        if type(message) is str:
            first, message = _FIN_TEXT, message.encode()
        size = len(message)
        if size < 126:
            head = _head_short.pack(first, size)
        elif size < 65_536:
            head = _head_medium.pack(first, 126, size)
        else:
            head = _head_long.pack(first, 127, size)
        self.stream.write(head + message)  # type: ignore[operator] # it is bytes
        return None

    def write_ping(self, payload: bytes) -> None:
        """As in `ServedLink`."""
        self._frames.send_ping(payload)
        self._write_out()

    def say_goodbye(self, code: int, reason: str) -> None:
        """As in `ServedLink`."""
        if self._frames.state is OPEN:
            self._frames.send_close(None if code == _NO_CODE else code, reason)
            self._write_out()

    def _write_out(self) -> None:
        for data in self._frames.data_to_send():
            if data and not self.stream.is_closing():
                self.stream.write(data)

    # --- what comes ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if not self._held:
            if self._boundary.here and self.is_open:
                message = lone_masked(data, self._most)
                if message is not None:
                    self._pass_on(message, data[0] == _FIN_TEXT)
                    return
            if len(data) <= _PIECE:
                self._read(data)
                return
        self._held += data
        if self._turn is None:
            self.stream.pause_reading()
            self._pass_on_piece()

    def read_on(self) -> None:
        """As in `ServedLink`."""
        if not self._held:
            self.stream.resume_reading()
        elif self._turn is None:
            self._turn = self.loop.call_soon(self._pass_on_piece)

    def _pass_on_piece(self) -> None:
        self._turn = None
        if self.stream.is_closing():
            self._held.clear()
            return
        piece = bytes(self._held[:_PIECE])
        del self._held[:_PIECE]
        self._read(piece)
        if not self.is_paused and not self.stream.is_closing():
            self.read_on()

    def _read(self, data: bytes) -> None:
        """Has the library read a piece."""
        frames = self._frames
        self._boundary.pass_over(data)
        if frames.parser_exc is not None or frames.close_rcvd is not None:
            return  # what comes after the last frame
        frames.receive_data(data)
        for event in frames.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._end_if_broken()

    def _end_if_broken(self) -> None:
        if self._frames.parser_exc is not None:
            self._write_out()
            self.peer_closes()

    def _take(self, frame: Frame) -> None:
        kind = frame.opcode
        if (kind is _TEXT or kind is _BINARY) and frame.fin:
            self._pass_on(bytes(frame.data), kind is _TEXT)
        elif kind is Opcode.CLOSE:
            self._write_out()
            self.peer_closes()
        elif not self.may_go_on():
            return
        elif kind is Opcode.PING:
            self._write_out()
            self.answered()
        elif kind is Opcode.PONG:
            self.took_pong(bytes(frame.data))
        else:
            self._take_part(frame)

    def _take_part(self, frame: Frame) -> None:
        if frame.opcode is not _CONT:
            self._parts_are_text = frame.opcode is _TEXT
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._pass_on(whole, self._parts_are_text)

    def _pass_on(self, message: bytes, is_text: bool) -> None:
        if not self.is_open:
            return
        try:
            whole = message.decode() if is_text else message
        except UnicodeDecodeError:
            self.close(_NOT_UTF8, "a text message is not UTF-8")
            self.stream.close()
            return
        try:
            self.on_message(whole)
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            self.failed(error)

    # --- the stream ------------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self.became_slow()

    def resume_writing(self) -> None:
        self.became_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._turn is not None:
            self._turn.cancel()
        self._held.clear()
        self.became_lost()
