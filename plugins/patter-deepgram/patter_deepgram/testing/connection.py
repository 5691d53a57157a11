"""One connection to the emulated service: its record, and what both protocols have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import anyio
import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from patter_core.aio import Changes

__all__ = ["Connection"]


class Connection:
    """The record of a connection.

    Args:
        socket: which the service has accepted.
    """

    def __init__(self, socket: WebSocket) -> None:
        self.query = socket.query_params.multi_items()
        """As the client sent it."""
        self.commands: list[str] = []
        """The text messages of the client, as JSON, in order."""
        self.sent: list[str] = []
        """The text messages of the service, as JSON, in order."""
        self.close_code: int | None = None
        """None while it is open; 1006 if the client went without a close frame."""
        self._socket = socket
        self._changes = Changes()
        self._frozen = False

    @property
    def is_open(self) -> bool:
        return self.close_code is None

    def freeze(self) -> None:
        """From here on nothing is sent."""
        self._frozen = True

    async def receive(self) -> str | bytes | None:
        """Returns the next message, text or binary; None once the client is gone."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self.over(int(message.get("code") or 1006))
            return None
        data: bytes | None = message.get("bytes")
        text: str | None = message.get("text")
        if text is not None:
            self.commands.append(text)
        self.notify()
        return text if text is not None else data or b""

    async def send(self, message: Mapping[str, object] | str | bytes) -> None:
        """Sends a message: a record as JSON, or text or bytes as they are. Nothing if the client is gone."""
        if not isinstance(message, str | bytes):
            message = msgspec.json.encode(message).decode()
        if self._frozen or not self.is_open or self._socket.application_state is not WebSocketState.CONNECTED:
            return
        if isinstance(message, str):
            self.sent.append(message)
            self.notify()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the client goes while it is sent
            await (self._socket.send_text(message) if isinstance(message, str) else self._socket.send_bytes(message))

    async def close(self, code: int, reason: str = "") -> None:
        """Closes it, as the service does."""
        if self.is_open and not self._frozen:
            self.over(code)
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(code, reason)

    def over(self, code: int) -> None:
        """The connection is closed, by either side. The first call counts."""
        if self.close_code is None:
            self.close_code = code
        self.notify()

    async def until(self, condition: Callable[[], bool], within: float = 20.0) -> None:
        """Waits until the record makes `condition` true.

        Raises:
            TimeoutError: that takes longer, in s.
        """
        with anyio.fail_after(within):
            await self._changes.wait_until(condition)

    def notify(self) -> None:
        """Wakes the tasks that wait in `until`."""
        self._changes.notify()
