"""What ties a worker to other processes on its machine: the other workers of its server, and `patter call`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec

from patter_core.server.board import WorkerBoard
from patter_core.server.control import ControlSocket
from patter_core.server.host import CallHost

__all__ = ["WorkerTies"]


class WorkerTies(msgspec.Struct, frozen=True, kw_only=True):
    """Made by the command that starts the worker."""

    control: ControlSocket | None = None
    """Takes orders of `patter call`."""
    board: WorkerBoard | None = None
    """What the workers of the server tell each other, where there are several."""
    apps_key: bytes | None = b""
    """32 bytes that sign the apps' cookies, so that a worker that replaces this one takes them; "" makes new ones. None
    serves no apps: for all workers but one."""
    apps_port: int | None = None
    """Of the apps' listener, in place of what is set."""
    is_service: bool = True
    """The service stops when the worker does: False where a parent replaces it, and speaks to the service manager."""
    on_link: Callable[[str], None] | None = None
    """Called with each link that lets a browser in to the apps; by default it is printed."""

    @contextlib.asynccontextmanager
    async def serving(self, host: CallHost) -> AsyncIterator[None]:
        """Keeps them as long as the context lasts."""
        async with contextlib.AsyncExitStack() as stack:
            if self.control is not None:
                await stack.enter_async_context(self.control.serving(host))
            if self.board is not None:
                await stack.enter_async_context(self.board.serving(host.table))
            yield
