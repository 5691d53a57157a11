"""A WebSocket connection of an ASGI server, as `patter_core.transport` has it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Generator

import anyio
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Send

from patter_core.aio.eager import start_now
from patter_core.aio.event import Event
from patter_core.aio.foreign import as_exception
from patter_core.transport import Message, SocketHandler

__all__ = ["AsgiSocket"]

_CLOSE_TIMEOUT = 1.0
"""Seconds for the peer to take the close frame."""
_FAULT = 1011


class AsgiSocket:
    """An accepted connection. Implements `Socket`.

    Args:
        receive: the server's.
        send: the server's.
        subprotocol: the one with which it was accepted.
    """

    def __init__(self, receive: Receive, send: Send, *, subprotocol: str = "") -> None:
        self.subprotocol = subprotocol
        self._receive = receive
        self._send = send
        self._may_read = Event()
        self._may_read.set()
        self._scope = anyio.CancelScope()
        self._close: tuple[int, str] = (1000, "")
        self._put_back: Message | None = None

    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`."""
        kind = "text" if type(message) is str else "bytes"
        try:
            rest = start_now(self._send({"type": "websocket.send", kind: message}))
        except RuntimeError as error:
            raise _gone() from error
        return rest if rest is None else _Taken(rest)

    def pause_reading(self) -> None:
        """As in `Socket`."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """As in `Socket`."""
        self._may_read.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """As in `Socket`."""
        if not self._scope.cancel_called:
            self._close = (code, reason)
            self._may_read.clear()  # where the next messages are here already, nothing else would be waited for
            self._scope.cancel()

    async def first(self) -> Message | None:
        """Returns the next message, before `serve`; None if the connection is gone."""
        message = await self._receive()
        return None if message["type"] == "websocket.disconnect" else _content(message)

    def put_back(self, message: Message) -> None:
        """Has `serve` begin with this message."""
        self._put_back = message

    async def shut(self, code: int = 1000) -> None:
        """Closes a connection that is not served. Before it was accepted, it is refused with status 403."""
        self._close = (code, "")
        await self._say_goodbye()

    async def serve(self, handler: SocketHandler) -> None:
        """Reads until the connection is gone or is closed.

        Raises:
            Exception: what the handler raised; the connection is closed.
        """
        try:
            with self._scope:
                handler.opened(self)
                if self._put_back is not None:
                    handler.message(self._put_back)
                receive, may_read = self._receive, self._may_read
                while True:
                    if not may_read.is_set():
                        await may_read.wait()
                    message = await receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    handler.message(_content(message))
        except BaseException as error:  # noqa: BLE001 - the handler's fault ends this connection and no other
            fault = as_exception(error)
            self._close = (_FAULT, "")
            raise fault from None
        finally:  # the server may have cancelled us: then the connection is gone
            try:
                handler.closed()
            finally:
                await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        code, reason = self._close
        # The server raises OSError or RuntimeError if the peer or the server itself has closed it before.
        gone = contextlib.suppress(OSError, RuntimeError)
        with gone, anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_TIMEOUT):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


class _Taken(Awaitable[None]):
    """What is left of a send. It may be dropped, as a coroutine may not, where the call ends first."""

    def __init__(self, rest: Awaitable[None]) -> None:
        self._rest = rest

    def __await__(self) -> Generator[object, object, None]:
        try:
            yield from self._rest.__await__()
        except RuntimeError as error:
            raise _gone() from error


def _gone() -> OSError:
    """The error of a server that has closed the connection itself: it may say so before it tells of the end."""
    return ConnectionError("the server has closed the connection")


def _content(message: AsgiMessage) -> Message:
    text: str | None = message.get("text")
    return message.get("bytes") or b"" if text is None else text
