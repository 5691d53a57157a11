"""The contract of transports: what reads and writes WebSocket frames, for engines' sockets and for media sockets.

The library `websockets` is the one that comes with Patter, and the reference. A plugin may offer a faster one, by the
hook `patter_transports`. Everything else is Patter's: addresses, proxies, TLS, the HTTP request of an upgrade and its
checks, budgets, and what is dropped where a peer is slow.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from patter_core.transport import Socket, SocketHandler

if TYPE_CHECKING:  # no program should load these because a transport is installed
    import asyncio
    import socket
    import ssl

    from patter_core.net.client_link import ClientLink

__all__ = [
    "TRANSPORT_API_VERSION",
    "Dial",
    "Ended",
    "ServedSocket",
    "SocketLimits",
    "Transport",
    "UpgradeMismatch",
    "UpgradeRefused",
    "in_use",
]

TRANSPORT_API_VERSION = 1


class Dial(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of an engine. Its `repr` shows nothing: address, headers and subprotocols may hold keys."""

    url: str
    """ws:// or wss://."""
    headers: Mapping[str, str] = {}
    """Sent with the upgrade."""
    subprotocols: Sequence[str] = ()
    """Offered, the preferred one first; their names are checked."""
    max_size: int = 16 * 2**20
    """Bytes of one message of the peer; a longer one ends the connection with code 1009."""

    authority: str = ""
    """The value of the header `Host`, by the URL."""
    resource: str = ""
    """The path and the query of the URL, as they are sent."""
    host: str = ""
    """The host of the URL, for whose certificate TLS looks."""

    credentials: str = ""
    """The value of the header `Authorization`, by a name and a password in the URL; "" without."""

    def __repr__(self) -> str:
        return "<Dial>"


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer of a media socket may do."""

    max_size: int
    """Bytes of one message; a longer one ends the connection with code 1009."""
    control_frames: int = 200
    """Pings, pongs and fragments a second; one more, and the connection is cut."""
    unread: int = 512 * 1024
    """Bytes of pongs that may wait in front of a peer that does not read; beyond it the connection is cut."""
    ping_every: float = 20.0
    """Seconds between two pings."""
    ping_within: float = 20.0
    """Seconds for the pong; then the connection is closed with code 1011."""


class UpgradeRefused(Exception):
    """The peer answered an upgrade with another status than 101: `status`, and its `headers` by lower-case name."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers


class UpgradeMismatch(Exception):
    """The peer selected a subprotocol or an extension that it was not offered."""


class ServedSocket(Socket, Protocol):
    """A media socket that a transport has taken over."""

    def hand_to(self, handler: SocketHandler) -> None:
        """Gives messages to another handler from here on. `SocketHandler.opened` is not called again."""

    def go_away(self) -> None:
        """Closes the connection, as the server stops: code 1012."""


Ended = Callable[[BaseException | None], None]
"""Called with what the handler raised, if it did."""


class Transport(abc.ABC):
    """A library for WebSocket frames. The class is the spec; it is made without arguments, once for each phone."""

    api_version: ClassVar[int] = TRANSPORT_API_VERSION
    name: ClassVar[str]
    """In the registry: lower-case letters, digits and hyphens."""

    @abc.abstractmethod
    async def connect(self, dial: Dial, connected: socket.socket, tls: ssl.SSLContext | None) -> ClientLink:
        """Upgrades a connection to an engine.

        Args:
            dial: what is asked. No redirect is followed, no extension offered.
            connected: a connected socket. It belongs to the transport, whatever happens.
            tls: for wss; certificates are verified for the host in the URL.

        Raises:
            UpgradeRefused: the answer has another status than 101.
            UpgradeMismatch: it selects what was not offered.
            OSError: the connection failed, or TLS on it.
            ValueError: the answer is no WebSocket's.
        """

    @abc.abstractmethod
    def accept(
        self,
        stream: asyncio.Transport,
        key: str,
        *,
        subprotocol: str,
        limits: SocketLimits,
        handler: SocketHandler,
        ended: Ended,
        lost: Callable[[], None],
    ) -> ServedSocket:
        """Takes a media socket over: answers the upgrade with status 101, and reads and writes frames from then on.

        The handler's methods are called as `SocketHandler` says, `opened` before this returns. What it raises closes
        the connection (1011), and text that is not UTF-8 does so (1007).

        Args:
            stream: the connection, which is not read, and on which the transport sets a protocol of its own.
            key: the request's Sec-WebSocket-Key. The server has checked the request.
            subprotocol: to be selected; "" for none.
            limits: what the peer may do.
            handler: gets the messages.
            ended: called once, after `SocketHandler.closed`; the closing handshake may take longer.
            lost: called once the connection is gone.
        """


in_use: ContextVar[Transport | None] = ContextVar("transport", default=None)
"""The transport of what a call opens; None for the library that comes with Patter."""
