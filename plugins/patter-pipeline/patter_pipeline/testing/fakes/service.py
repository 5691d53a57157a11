"""A WebSocket service for a fake part: text messages are JSON with a `type`, binary messages are audio."""

from __future__ import annotations

import contextlib

import anyio
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from patter_core.aio import Changes
from patter_core.errors import EngineError, EngineFailed, SocketClosed
from patter_core.server.serving import serve_app

__all__ = ["FAILED", "Service", "ended"]

FAILED = 1011
"""The close code of a failure."""


class Service:
    """The sockets of a fake service. A subclass says what happens on one."""

    def __init__(self) -> None:
        self.url = ""
        self.sockets: list[WebSocket] = []
        """Those that are open."""
        self.changes = Changes()
        """Notified after each message, and each end of a socket."""
        self._stalled = anyio.Event()
        self._open = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Opens the port."""
        app = Starlette(routes=[WebSocketRoute("/", self._serve)])
        self.url = (await self._open.enter_async_context(serve_app(app))).replace("http", "ws", 1)

    async def stop(self) -> None:
        """Closes it."""
        await self._open.aclose()

    def stall(self) -> None:
        """Nothing more is said, and no new session becomes ready."""
        self._stalled.set()

    @property
    def is_stalled(self) -> bool:
        """True after `stall`."""
        return self._stalled.is_set()

    async def converse(self, socket: WebSocket) -> None:
        """Talks on one socket to its end."""
        raise NotImplementedError

    async def send(self, socket: WebSocket, message: str | bytes) -> None:
        """Sends a message, if the peer is still there and the service says anything at all."""
        if self.is_stalled or socket.application_state is not WebSocketState.CONNECTED:
            return
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))

    async def fail(self) -> None:
        """Closes all sockets with the code of a failure."""
        for socket in list(self.sockets):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(FAILED)

    async def inject(self, message: str | bytes) -> None:
        """Sends anything on all sockets."""
        for socket in list(self.sockets):
            await self.send(socket, message)

    async def _serve(self, socket: WebSocket) -> None:
        if self.is_stalled:
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
            return
        await socket.accept()
        self.sockets.append(socket)
        self.changes.notify()
        try:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self.converse(socket)
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await socket.close()
        finally:
            self.sockets.remove(socket)
            self.changes.notify()


def ended(closed: SocketClosed) -> EngineError:
    """Returns what the end of a socket means."""
    if closed.code == FAILED:
        return EngineFailed("The fake service failed.", retry=True)
    return closed
