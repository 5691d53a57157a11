"""The transport, as the registry knows it. What it does is in `upgrades`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from patter_core.net.transport import Dial, Ended, SocketLimits, Transport
from patter_core.transport import SocketHandler

if TYPE_CHECKING:
    import asyncio
    import socket
    import ssl

    from patter_core.net.client_link import ClientLink
    from patter_picows.served import PicowsSocket

__all__ = ["PicowsTransport"]


class PicowsTransport(Transport):
    """WebSocket frames by picows, which is compiled. TLS of engines' sockets is aiofastnet's, on OpenSSL.

    The two libraries are imported when a phone makes its transport: every command knows the class, few open sockets.
    """

    name = "picows"

    def __init__(self) -> None:
        from patter_picows import upgrades  # noqa: PLC0415 - see above

        self._connect, self._accept = upgrades.connect, upgrades.accept

    async def connect(self, dial: Dial, connected: socket.socket, tls: ssl.SSLContext | None) -> ClientLink:
        """As in `Transport`."""
        return await self._connect(dial, connected, tls)

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
    ) -> PicowsSocket:
        """As in `Transport`."""
        return self._accept(
            stream, key, subprotocol=subprotocol, limits=limits, handler=handler, ended=ended, lost=lost
        )
