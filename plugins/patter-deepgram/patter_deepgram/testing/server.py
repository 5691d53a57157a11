"""The server of the emulated services: its port, whom it admits, and what it does to all connections."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket

from patter_core.aio import Changes
from patter_core.server.serving import serve_app
from patter_deepgram.testing.connection import Connection
from patter_deepgram.testing.refusals import refusal

__all__ = ["Server"]

C = TypeVar("C", bound=Connection)

_UNAUTHORISED = 401


class Server(abc.ABC, Generic[C]):
    """Serves for one API key. Inside its context the port is open.

    An exception of the emulator itself is raised when the context ends.
    """

    def __init__(self, *, api_key: str, refuse: int = 0, reason: str = "The emulator refuses.") -> None:
        self.api_key = api_key
        self.refuse = refuse
        """A status with which all upgrades are refused; 0 accepts them."""
        self.reason = reason
        """Of these refusals."""
        self.base_url = ""
        """`http://host:port`; that of the sockets is the same with ws."""
        self.connections: list[C] = []
        """All connections, in order, with those that are closed."""
        self._resources = contextlib.AsyncExitStack()
        self._changes = Changes()
        self._failures: list[Exception] = []
        self._is_stalled = False

    @property
    @abc.abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """The paths that it serves."""

    async def start(self) -> None:
        self.base_url = await self._resources.enter_async_context(serve_app(Starlette(routes=self.routes)))

    async def stop(self) -> None:
        self._is_stalled = False
        self._changes.notify()
        await self._resources.aclose()
        failures, self._failures = self._failures, []
        if failures:
            raise ExceptionGroup("The emulator failed.", failures)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)

    def stall(self) -> None:
        self._is_stalled = True
        for connection in self.connections:
            connection.freeze()

    async def inject(self, message: str | bytes) -> None:
        await self.in_each(lambda connection: connection.send(message))

    async def close(self, code: int, reason: str = "") -> None:
        """Closes all connections, with that code."""
        await self.in_each(lambda connection: connection.close(code, reason))

    async def in_each(self, action: Callable[[C], Awaitable[None]]) -> None:
        """Does something in each open connection."""
        for connection in self.connections:
            if connection.is_open:
                await action(connection)

    async def connection(self, number: int = 0) -> C:
        """Waits for the connection of that number, from 0 on."""
        await self._changes.wait_until(lambda: len(self.connections) > number)
        return self.connections[number]

    async def serve(
        self, socket: WebSocket, problem: str, make: Callable[[WebSocket], C], host: Callable[[C], Awaitable[None]]
    ) -> None:
        """Conducts one connection.

        Args:
            socket: what came.
            problem: why its query is refused; "" if it is not.
            make: makes the record.
            host: takes messages until the client is gone.
        """
        await self._changes.wait_until(lambda: not self._is_stalled)
        status, reason = self.refuse, self.reason
        if not status and socket.headers.get("authorization") != f"Token {self.api_key}":
            status, reason = _UNAUTHORISED, "Invalid credentials."
        if not status and problem:
            status, reason = 400, problem
        if status:
            await socket.send_denial_response(refusal(status, reason))
            return
        await socket.accept()
        connection = make(socket)
        self.connections.append(connection)
        self._changes.notify()
        try:
            await host(connection)
        except* Exception as failures:  # noqa: BLE001 - raised when the context ends
            self._failures.extend(failures.exceptions)
            with anyio.move_on_after(1):
                await connection.close(1011, "The emulator failed.")
        finally:
            connection.over(1006)
