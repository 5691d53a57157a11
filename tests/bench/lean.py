"""A WebSocket peer with as little between a frame and its handler as can be: the load must not cost what it measures.

Only what this benchmark's two sides need: messages in one frame, pings answered, the close handshake. Everything
that leaves the client is masked with the key 0, which RFC 6455 forbids in the wild (section 5.3: it must not be
guessed) and which costs the sender nothing; the receiver's work is the same for any key.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import struct
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

from websockets.utils import accept_key

try:  # the library's compiled one, which it exports under no public name
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

__all__ = ["LeanSocket", "connect", "listen"]

_TEXT, _BINARY, _CLOSE, _PING = 0x81, 0x82, 0x88, 0x89
_MASKED = 0x80
_NO_KEY = bytes(4)


class LeanSocket(asyncio.Protocol):
    """One end, after its handshake. Set `on_text`, and `on_binary` where such messages come, before the first message;
    `closed` is set at the end."""

    def __init__(self, *, client: bool, opened: Callable[[LeanSocket, bytes], None]) -> None:
        self.on_text: Callable[[bytes], None] = _nobody_listens
        self.on_binary: Callable[[bytes], None] = _nobody_listens
        self.closed = asyncio.Event()
        self.on_closed: Callable[[], None] = _nobody_cares
        self._client = client
        self._opened = opened
        self._open = False
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def send(self, text: bytes) -> None:
        """Send a text message, now."""
        assert self._transport is not None
        self._transport.write(self._frame(_TEXT, text))

    def send_binary(self, data: bytes) -> None:
        """Send a binary message, now."""
        assert self._transport is not None
        self._transport.write(self._frame(_BINARY, data))

    def close(self) -> None:
        """Begin the close handshake."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._frame(_CLOSE, b"\x03\xe8"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self.on_closed()

    def write(self, data: bytes) -> None:
        """Send what is no message: a handshake."""
        assert self._transport is not None
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not self._open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            self._open = True
            self._opened(self, head)
        self._buffer = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        """Handle all whole frames; gives the rest."""
        place, end = 0, len(data)
        while end - place >= 2:
            start, length = place + 2, data[place + 1] & 0x7F
            if length >= 126:
                width = 2 if length == 126 else 8
                length = int.from_bytes(data[start : start + width], "big")
                start += width
            key_at = start
            if data[place + 1] & _MASKED:
                start += 4
            if start + length > end:
                break
            payload = data[start : start + length]
            if start != key_at:
                payload = apply_mask(payload, data[key_at:start])
            self._take(data[place], payload)
            place = start + length
        return data[place:]

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == _TEXT:
            self.on_text(payload)
        elif kind == _BINARY:
            self.on_binary(payload)
        elif kind == _PING:
            self.write(self._frame(0x8A, payload))
        elif kind == _CLOSE:
            assert self._transport is not None
            if not self._transport.is_closing():
                self._transport.write(self._frame(_CLOSE, payload))
                self._transport.close()

    def _frame(self, kind: int, payload: bytes) -> bytes:
        size = len(payload)
        masked = _MASKED if self._client else 0
        if size < 126:
            head = bytes((kind, masked | size))
        elif size < 65_536:
            head = struct.pack("!BBH", kind, masked | 126, size)
        else:
            head = struct.pack("!BBQ", kind, masked | 127, size)
        return head + _NO_KEY + payload if masked else head + payload


def _nobody_cares() -> None:
    """The end of a socket that somebody waits for, or nobody."""


def _nobody_listens(_text: bytes) -> None:
    raise AssertionError("A message before its handler was set.")


async def connect(url: str, headers: Mapping[str, str]) -> LeanSocket:
    """Open a client's end; ConnectionError if it is refused."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    answer: asyncio.Future[bytes] = loop.create_future()

    def opened(_socket: LeanSocket, head: bytes) -> None:
        if not answer.done():
            answer.set_result(head)

    _, socket = await loop.create_connection(
        lambda: LeanSocket(client=True, opened=opened), parts.hostname or "", parts.port or 80
    )
    lines = [
        f"GET {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    socket.write("\r\n".join([*lines, "", ""]).encode())
    status = (await asyncio.wait_for(answer, 10)).split(b"\r\n", 1)[0].decode()
    if " 101 " not in f"{status} ":
        raise ConnectionError(f"The upgrade was refused: {status}")
    return socket


async def listen(
    accepted: Callable[[LeanSocket], None], tls: ssl.SSLContext | None = None
) -> tuple[asyncio.Server, int]:
    """Accept sockets on a free loopback port."""

    def opened(socket: LeanSocket, head: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        key = next(value for name, value in fields.items() if name.lower() == b"sec-websocket-key")
        accepted(socket)
        socket.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key.decode()).encode() + b"\r\n\r\n"
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: LeanSocket(client=False, opened=opened), "127.0.0.1", 0, backlog=1024, ssl=tls
    )
    return server, server.sockets[0].getsockname()[1]
