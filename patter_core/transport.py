"""The transport contract: a WebSocket connection, which calls a handler with each message as soon as it is read.

There is no queue and no task between the network and the handler, so a message costs one call. A handler
that must slow a peer down pauses reading.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

__all__ = ["Connection", "Message", "Socket", "SocketHandler"]

Message = str | bytes
"""A text or a binary WebSocket message."""


class Socket(Protocol):
    """An open connection."""

    @property
    def subprotocol(self) -> str:
        """The one that was agreed; "" if none was."""

    def send(self, message: Message) -> Awaitable[None] | None:
        """Sends a message. None if the connection took it; else it is taken once the result was awaited.

        Nothing may be sent until then.

        Raises:
            OSError: the connection is gone. Awaiting the result may raise it, too.
        """

    def pause_reading(self) -> None:
        """Reads nothing more until `resume_reading`: the peer has to wait."""

    def resume_reading(self) -> None:
        """Reads on."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the connection. Idempotent; `SocketHandler.closed` follows."""


class SocketHandler(Protocol):
    """What is done with a connection. All methods are called by the event loop, in order, and never wait.

    What one raises closes the connection, and nothing else.
    """

    def opened(self, socket: Socket) -> None:
        """The connection is open: called first."""

    def message(self, message: Message) -> None:
        """A whole message came."""

    def closed(self) -> None:
        """The connection is gone: called last, once."""


class Connection(Protocol):
    """A connection that was accepted, and waits for its handler."""

    async def serve(self, handler: SocketHandler) -> None:
        """Calls the handler until the connection is gone.

        Raises:
            Exception: what the handler raised.
        """
