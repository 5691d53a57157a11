"""An ASGI app around another, which keeps what a carrier sends: webhooks, and the messages of media sockets."""

from __future__ import annotations

import httpx
import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patter_core.server.handed_socket import TAKE_OVER

__all__ = ["RecordedRequest", "Recorder"]

_OF_TRANSPORT = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


class RecordedRequest(msgspec.Struct, kw_only=True):
    """A request as it came."""

    method: str
    target: str
    """The path, with its query."""
    headers: list[tuple[str, str]]
    body: bytes = b""
    status: int = 0
    """Of the answer; 0 while there is none."""
    subprotocol: str = ""
    """With which a media socket was accepted."""

    @property
    def proof_headers(self) -> list[str]:
        """The names of the headers that may prove something: all but the transport's own."""
        return [
            name for name, _ in self.headers if name not in _OF_TRANSPORT | {"user-agent", "accept", "content-type"}
        ]

    async def again(
        self, client: httpx.AsyncClient, *, without: frozenset[str] = frozenset(), body: bytes | None = None
    ) -> int:
        """Sends it once more, with these changes; returns the status of the answer."""
        headers = [(name, value) for name, value in self.headers if name not in (_OF_TRANSPORT - {"host"}) | without]
        content = self.body if body is None else body
        response = await client.request(self.method, self.target, headers=headers, content=content)
        return response.status_code


class Recorder:
    """Passes everything on as it is, and keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self.webhooks: list[RecordedRequest] = []
        self.upgrades: list[RecordedRequest] = []
        self.media: list[list[str | bytes]] = []
        """What came on each media socket, in order."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the app."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope)
        self.webhooks.append(request)

        async def keeping_receive() -> Message:
            message = await receive()
            request.body += message.get("body", b"")
            return message

        async def keeping_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
            await send(message)

        await self._app(scope, keeping_receive, keeping_send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        upgrade = _request(scope)
        self.upgrades.append(upgrade)
        messages: list[str | bytes] = []
        self.media.append(messages)
        extensions = {name: value for name, value in scope.get("extensions", {}).items() if name != TAKE_OVER}
        scope = {**scope, "extensions": extensions}  # a transport that takes the socket over would pass this by

        async def keeping_receive() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                text: str | None = message.get("text")
                messages.append(message.get("bytes") or b"" if text is None else text)
            return message

        async def keeping_send(message: Message) -> None:
            if message["type"] == "websocket.accept":
                upgrade.status, upgrade.subprotocol = 101, message.get("subprotocol") or ""
            await send(message)

        await self._app(scope, keeping_receive, keeping_send)


def _request(scope: Scope) -> RecordedRequest:
    query: bytes = scope["query_string"]
    target = (scope.get("raw_path") or scope["path"].encode()) + (b"?" + query if query else b"")
    return RecordedRequest(
        method=scope.get("method", "GET"),
        target=target.decode("latin-1"),
        headers=[(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
    )
