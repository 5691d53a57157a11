"""A load balancer as small as can be: each connection goes to the next worker that takes it. TCP, so sockets too."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence

__all__ = ["Balancer"]


class _Half(asyncio.Protocol):
    """One side of a connection: what comes here goes to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None

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
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()


class _Front(_Half):
    """The caller's side: it reads nothing before it has a worker."""

    def __init__(self, balancer: Balancer) -> None:
        super().__init__()
        self._balancer = balancer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._balancer.join(self)


class Balancer:
    """Connections come in at `port` and go to `workers`, in turn; one that refuses is passed over."""

    def __init__(self) -> None:
        self.port = 0
        self.workers: Sequence[int] = ()
        """The ports of the workers; may be changed at any time."""
        self._turns = itertools.count()
        self._joining: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Balancer]:
        loop = asyncio.get_running_loop()
        fronts: list[_Front] = []

        def front() -> _Front:
            fronts.append(_Front(self))
            return fronts[-1]

        server = await loop.create_server(front, "127.0.0.1", self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._joining:
                task.cancel()
            for half in fronts:
                for end in (half, half.other):
                    if end is not None and end.transport is not None:
                        end.transport.abort()
            await asyncio.sleep(0)

    def join(self, front: _Half) -> None:
        task = asyncio.get_running_loop().create_task(self._join(front))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, front: _Half) -> None:
        assert front.transport is not None
        workers, first = self.workers, next(self._turns)
        for turn in range(len(workers)):
            back = _Half()
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda back=back: back,  # type: ignore[misc] # mypy does not infer lambdas with defaults
                    "127.0.0.1",
                    workers[(first + turn) % len(workers)],
                )
            except OSError:
                continue
            front.other, back.other = back, front
            front.transport.resume_reading()
            return
        front.transport.abort()
