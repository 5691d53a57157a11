"""A media socket that a transport has taken over from the server, as the call uses it."""

from __future__ import annotations

from collections.abc import Callable

from patter_core.aio.event import Event
from patter_core.net.transport import Ended, ServedSocket, Transport
from patter_core.transport import Message, Socket, SocketHandler

__all__ = ["TAKE_OVER", "HandedSocket", "TakeOver"]

TAKE_OVER = "patter.take_over"
"""The extension of a media socket's scope by which the server offers to have a transport take the socket over."""

_FAULT = 1011

TakeOver = Callable[[Transport, str, SocketHandler, Ended], ServedSocket | None]
"""Has a transport accept the socket with a subprotocol, "" for none, and give its messages to a handler.

None if the server has to accept it: the peer has not waited for the answer.

Raises OSError if the connection is gone.
"""


class HandedSocket:
    """An accepted socket. Implements `Connection`, and `SocketHandler` until it is served.

    Messages that come before are kept. It is not read then, so there are no more than one read has brought.
    Made by `accept`.
    """

    _socket: ServedSocket

    def __init__(self) -> None:
        self._waiting: list[Message] = []
        self._changed = Event()
        """A message waits, or none will come."""
        self._ended = Event()
        self._error: BaseException | None = None

    @classmethod
    def accept(cls, take_over: TakeOver, transport: Transport, subprotocol: str) -> HandedSocket | None:
        """Has a transport accept a socket, with that subprotocol, "" for none. None if the server has to.

        Raises:
            OSError: the connection is gone.
        """
        made = cls()
        served = take_over(transport, subprotocol, made, made._end)
        if served is None:
            return None
        made._socket = served
        return made

    # --- as a handler, until it is served --------------------------------------------------------------------------

    def opened(self, socket: Socket) -> None:
        """As in `SocketHandler`."""

    def message(self, message: Message) -> None:
        """As in `SocketHandler`: keeps it."""
        self._waiting.append(message)
        self._changed.set()
        self._socket.pause_reading()

    def closed(self) -> None:
        """As in `SocketHandler`."""

    def _end(self, error: BaseException | None) -> None:
        self._error = error
        self._ended.set()
        self._changed.set()

    # --- as a connection -------------------------------------------------------------------------------------------

    @property
    def subprotocol(self) -> str:
        """The one with which it was accepted."""
        return self._socket.subprotocol

    async def first(self) -> Message | None:
        """Returns the next message, before `serve`; None if the connection is gone."""
        while not self._waiting:
            if self._ended.is_set():
                return None
            self._changed.clear()
            self._socket.resume_reading()
            await self._changed.wait()
        return self._waiting.pop(0)

    def put_back(self, message: Message) -> None:
        """Has `serve` begin with this message."""
        self._waiting.insert(0, message)

    async def shut(self, code: int = 1000) -> None:
        """Closes a connection that is not served."""
        self._socket.close(code)

    async def serve(self, handler: SocketHandler) -> None:
        """As in `Connection`."""
        if self._ended.is_set():
            return
        self._socket.resume_reading()  # before the handler, which may pause it
        self._socket.hand_to(handler)
        try:
            handler.opened(self._socket)
            while self._waiting:
                handler.message(self._waiting.pop(0))
        except BaseException:
            self._socket.close(_FAULT)
            await self._ended.wait()
            raise
        try:
            await self._ended.wait()
        finally:  # the server may have cancelled us
            self._socket.close()
        if self._error is not None:
            raise self._error
