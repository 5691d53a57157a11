"""The other end of a transport under test: it writes bytes as they are, so that frames may be wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["BINARY", "CLOSE", "CONT", "PING", "PONG", "TEXT", "Frame", "RawPeer", "dialled", "listening"]

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Frame:
    """A frame that came: its kind, its payload without the mask, and the mask; None without one."""

    def __init__(self, kind: int, payload: bytes, mask: bytes | None) -> None:
        self.kind = kind
        self.payload = payload
        self.mask = mask

    @property
    def code(self) -> int:
        """Of a close frame; 1005 without one."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


class RawPeer:
    """A connection, before or after its upgrade.

    Args:
        reader: its bytes.
        writer: likewise.
        masks: True for the client's side, whose frames are masked.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, masks: bool) -> None:
        self.reader = reader
        self.writer = writer
        self.request = b""
        self._masks = masks

    def frame(self, kind: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, mask: bool = True) -> bytes:
        """Returns a frame; `mask` False, or `bits`, make a wrong one."""
        masked = self._masks is mask
        size = len(payload)
        head = bytes([fin << 7 | bits << 4 | kind])
        flag = masked << 7
        if size < 126:
            head += bytes([flag | size])
        elif size < 65_536:
            head += struct.pack("!BH", flag | 126, size)
        else:
            head += struct.pack("!BQ", flag | 127, size)
        if not masked:
            return head + payload
        key = os.urandom(4)
        return head + key + _applied(payload, key)

    def send(self, kind: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, mask: bool = True) -> None:
        """Writes a frame, as `frame` makes it."""
        self.writer.write(self.frame(kind, payload, fin=fin, bits=bits, mask=mask))

    async def next(self) -> Frame | None:
        """Returns the next frame; None at the end of the connection."""
        try:
            first, second = await self.reader.readexactly(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            mask = await self.reader.readexactly(4) if second & 128 else None
            payload = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            return None
        return Frame(first & 15, payload if mask is None else _applied(payload, mask), mask)

    async def until(self, kind: int) -> Frame | None:
        """Returns the next frame of a kind; None at the end of the connection."""
        while (frame := await self.next()) is not None:
            if frame.kind == kind:
                return frame
        return None

    async def drain(self) -> None:
        """Waits until the other end has read, if it is there."""
        with contextlib.suppress(OSError):
            await self.writer.drain()

    def close(self) -> None:
        """Closes the connection without a word."""
        self.writer.close()


def _applied(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


def _accept_key(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + _GUID).digest())


def answer_to(request: bytes, *, headers: bytes = b"") -> bytes:
    """Returns the answer that accepts an upgrade, with more headers."""
    lines = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
    key = next(value for name, value in lines.items() if name.lower() == b"sec-websocket-key")
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + _accept_key(key) + b"\r\n" + headers + b"\r\n"
    )


Answer = Callable[[bytes], bytes | None]
"""Returns what an upgrade is answered; None for nothing."""


@contextlib.asynccontextmanager
async def listening(
    talk: Callable[[RawPeer], Awaitable[None]], *, answer: Answer = answer_to, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serves upgrades while the context lasts; gives the URL. `talk` is run for each; then it is closed."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # a server calls this in one
        tasks.add(task)
        peer = RawPeer(reader, writer, masks=False)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            peer.request = await reader.readuntil(b"\r\n\r\n")
            answered = answer(peer.request)
            if answered is not None:
                writer.write(answered)
            await talk(peer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "ws" if tls is None else "wss"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/path?query=1"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def dialled(url: str) -> RawPeer:
    """Returns the client's end of a media socket, once it is accepted; `request` is the answer.

    Raises:
        OSError: it is not reached.
        asyncio.IncompleteReadError: it does not answer.
    """
    host, port = url.partition("://")[2].rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(os.urandom(16))
    writer.write(
        b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    peer = RawPeer(reader, writer, masks=True)
    peer.request = await reader.readuntil(b"\r\n\r\n")
    return peer
