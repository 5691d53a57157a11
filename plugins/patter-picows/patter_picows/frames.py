"""What picows leaves to its user when it reads frames: reserved bits, fragments, lengths, UTF-8, close frames.

picows reads masks, lengths and opcodes, and refuses those that RFC 6455 forbids. It delivers frames as they come.
"""

from __future__ import annotations

import asyncio
import logging

from picows import WSFrame, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined] # its types leave it out

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "BoundedProtocol",
    "Broken",
    "Parts",
    "as_text",
    "check_bits",
    "close_frame",
    "quiet",
    "say_close",
]

TEXT, BINARY, CONT = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
PING, PONG, CLOSE = WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE

BROKEN, NOT_UTF8, TOO_LONG = 1002, 1007, 1009

_NO_CODE = 1005
_LARGEST_READ = 4096
"""Bytes that are read at once. picows' buffer grows with a long message and stays so; of the smallest frames, one of a
megabyte would hold half a million, which are all delivered before the event loop has its turn."""

quiet = logging.getLogger("patter.picows")
"""What picows logs to. It logs addresses, headers, and what callbacks raise."""
quiet.setLevel(logging.CRITICAL)


class Broken(Exception):
    """The peer breaks the protocol: the connection is closed with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class BoundedProtocol(WSProtocol):  # type: ignore[misc] # as above
    """picows' protocol, which reads a little at a time, and nothing after a frame that it has refused."""

    def get_buffer(self, size_hint: int) -> memoryview:
        """Returns where the next read goes."""
        if self.transport.is_close_frame_sent and self.listener is not None and self.listener.is_open:
            # It has refused a frame, and would keep what comes now, as a part of that frame.
            rest = _Rest(self)
            self.transport.underlying_transport.set_protocol(rest)
            return rest.get_buffer(size_hint)
        room: memoryview = _get_buffer(self, size_hint)
        return room if len(room) <= _LARGEST_READ else room[:_LARGEST_READ]


_get_buffer = WSProtocol.get_buffer


class _Rest(asyncio.BufferedProtocol):
    """Reads what comes after the last frame, and drops it."""

    def __init__(self, protocol: WSProtocol) -> None:
        self._protocol = protocol
        self._buffer = bytearray(_LARGEST_READ)

    def get_buffer(self, size_hint: int) -> memoryview:
        return memoryview(self._buffer)

    def buffer_updated(self, count: int) -> None:
        """Drops it."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)


class Parts:
    """The parts of a message that comes in several frames.

    Args:
        max_size: bytes of the whole message.
    """

    __slots__ = ("_is_text", "_max_size", "_parts", "_size", "open")

    def __init__(self, max_size: int) -> None:
        self.open = False
        """True between the first and the last part."""
        self._max_size = max_size
        self._parts: list[bytes] = []
        self._size = 0
        self._is_text = False

    def take(self, frame: WSFrame) -> tuple[bytes, bool] | None:
        """Takes a frame of a message. Returns the message and whether it is text, once it is whole.

        Raises:
            Broken: it is in no message, or the message is too long.
        """
        starts = frame.msg_type is not CONT
        if starts is self.open:
            raise Broken(BROKEN, "a message within another" if starts else "a part of no message")
        if starts:
            self._is_text = frame.msg_type is TEXT
        self._size += frame.payload_size
        if self._size > self._max_size:
            raise Broken(TOO_LONG, f"a message of more than {self._max_size} bytes")
        self._parts.append(frame.get_payload_as_bytes())
        self.open = not frame.fin
        if self.open:
            return None
        whole = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return whole, self._is_text


def as_text(message: bytes) -> str:
    """Returns a text message.

    Raises:
        Broken: it is not UTF-8.
    """
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise Broken(NOT_UTF8, "a text message is not UTF-8") from None


def check_bits(frame: WSFrame) -> None:
    """Raises Broken if a frame has reserved bits: no extension was agreed."""
    if frame.rsv1 or frame.rsv2 or frame.rsv3:
        raise Broken(BROKEN, "reserved bits")


def close_frame(frame: WSFrame) -> tuple[int, str]:
    """Returns the code (1005 without one) and the reason of a close frame; picows has checked both."""
    payload = frame.get_payload_as_bytes()
    return (int.from_bytes(payload[:2], "big"), payload[2:].decode()) if payload else (_NO_CODE, "")


def say_close(socket: WSTransport, code: int, reason: str) -> None:
    """Sends a close frame; one without a code for 1005."""
    if code == _NO_CODE:
        socket.send(CLOSE, None)
    else:
        socket.send_close(code, reason.encode())  # type: ignore[arg-type] # picows' types name no codes above 2999
