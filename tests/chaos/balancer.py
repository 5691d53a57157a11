"""A load balancer as small as can be: each connection goes to the next worker that takes it. TCP, so sockets too.

Its cables can be harmed: cut, frozen, half closed. In front of an engine it is a cable to that engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence

__all__ = ["Balancer", "Link"]

_KEPT = 16_384
"""Bytes of a connection's beginning: whole webhooks."""


class _Half(asyncio.Protocol):
    """One side of a connection: what comes here goes to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None
        self.frozen = False
        """Nothing is read here any more, as if nothing came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.frozen:
            self.other.transport.resume_reading()

    def freeze(self) -> None:
        """Read nothing any more; once the kernels' buffers are full, the peer cannot write either."""
        self.frozen = True
        if self.transport is not None:
            self.transport.pause_reading()


class Link(_Half):
    """A connection, seen from the side that opened it. It reads nothing before it has a worker."""

    def __init__(self, balancer: Balancer) -> None:
        super().__init__()
        self.worker = 0
        """The port."""
        self.is_stream = False
        """It is a media socket's."""
        self.open = True
        self.said = b""
        """What the side that opened it said first."""
        self._balancer = balancer
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._balancer.join(self)

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begun, self.is_stream = True, data.startswith(b"GET /media/")
        if len(self.said) < _KEPT:
            self.said += data[:_KEPT]
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        super().connection_lost(exc)

    def halves(self) -> list[_Half]:
        return [self] if self.other is None else [self, self.other]

    def freeze_both(self) -> None:
        """A cable that leads nowhere any more, and nobody is told."""
        for half in self.halves():
            half.freeze()

    def deafen(self) -> None:
        """The side that opened it talks, and takes nothing any more."""
        if self.other is not None:
            self.other.freeze()

    def cut(self) -> None:
        """Reset, to both sides."""
        for half in self.halves():
            if half.transport is not None:
                half.transport.abort()

    def half_close(self) -> None:
        """The side that opened it reads the end, while what it writes is still taken."""
        assert self.transport is not None
        assert self.other is not None
        self.other.freeze()
        self.transport.write_eof()


class Balancer:
    """Connections come in at `port` and go to `workers`, in turn; one that refuses is passed over."""

    def __init__(self) -> None:
        self.port = 0
        self.workers: Sequence[int] = ()
        """The ports of the workers; may be changed at any time."""
        self.all_links: list[Link] = []
        self._turns = itertools.count()
        self._joining: set[asyncio.Task[None]] = set()

    @property
    def links(self) -> list[Link]:
        """The open ones."""
        return [link for link in self.all_links if link.open]

    def streams(self, worker: int | None = None) -> list[Link]:
        """The open media sockets, of one worker or of all."""
        return [link for link in self.links if link.is_stream and worker in {None, link.worker}]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Balancer]:
        loop = asyncio.get_running_loop()

        def front() -> Link:
            self.all_links.append(Link(self))
            return self.all_links[-1]

        server = await loop.create_server(front, "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._joining:
                task.cancel()
            for link in self.all_links:
                link.cut()
            await asyncio.sleep(0)

    def join(self, front: Link) -> None:
        task = asyncio.get_running_loop().create_task(self._join(front))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, front: Link) -> None:
        assert front.transport is not None
        workers, first = self.workers, next(self._turns)
        for turn in range(len(workers)):
            back = _Half()
            front.worker = workers[(first + turn) % len(workers)]
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda back=back: back,  # type: ignore[misc] # mypy does not infer lambdas with defaults
                    "127.0.0.1",
                    front.worker,
                )
            except OSError:
                continue
            front.other, back.other = back, front
            if not front.frozen:
                front.transport.resume_reading()
            return
        front.transport.abort()
