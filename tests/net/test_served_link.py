"""A media socket's signs of life, on a real connection: what `check_transport` would have to wait long for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from patter_core.net.served_connection import ServedConnection
from patter_core.net.transport import SocketLimits
from patter_core.testing.conformance.transport_peer import CLOSE, PING, PONG, RawPeer
from patter_core.transport import Message, Socket

pytestmark = pytest.mark.anyio


class Handler:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Message] = []

    def opened(self, socket: Socket) -> None:
        self.told.append("opened")

    def message(self, message: Message) -> None:
        self.told.append(message)

    def closed(self) -> None:
        self.told.append("closed")


@contextlib.asynccontextmanager
async def served(limits: SocketLimits) -> AsyncIterator[tuple[Handler, RawPeer, asyncio.Event]]:
    """A media socket between two ends of this process; gives its handler, the peer, and an event at its loss."""
    ours, theirs = socket.socketpair()
    loop, handler, lost = asyncio.get_running_loop(), Handler(), asyncio.Event()
    stream, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    peer = RawPeer(*await asyncio.open_connection(sock=theirs), masks=True)
    ServedConnection(
        stream,
        "dGhlIHNhbXBsZSBub25jZQ==",
        subprotocol="",
        limits=limits,
        handler=handler,
        ended=lambda _: None,
        lost=lost.set,
    )
    answer = await peer.reader.readuntil(b"\r\n\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # the example of RFC 6455
    try:
        yield handler, peer, lost
    finally:
        peer.close()


async def test_a_peer_that_answers_pings_is_pinged_again_and_one_that_does_not_is_closed() -> None:
    async with asyncio.timeout(10), served(SocketLimits(max_size=1000, ping_every=0.02, ping_within=0.5)) as made:
        handler, peer, lost = made
        for _ in range(3):
            ping = await peer.until(PING)
            assert ping is not None
            peer.send(PONG, b"of nothing")
            peer.send(PONG, ping.payload)
        closed = await peer.until(CLOSE)  # the pings after it were not answered
        assert closed is not None
        assert (closed.code, closed.payload[2:]) == (1011, b"keepalive ping timeout")
        await lost.wait()
    assert handler.told == ["opened", "closed"]


async def test_a_peer_that_is_cut_off_in_the_middle_of_a_message_is_told_as_gone() -> None:
    async with asyncio.timeout(10), served(SocketLimits(max_size=1000)) as (handler, peer, lost):
        peer.send(1, b"whole")
        peer.writer.write(peer.frame(1, b"half of it")[:8])
        await peer.drain()
        peer.close()
        await lost.wait()
        await asyncio.sleep(0)
    assert handler.told == ["opened", "whole", "closed"]
