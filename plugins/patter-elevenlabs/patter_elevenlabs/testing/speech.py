"""What the emulated services of speech have in common: a port, an account, open sockets, and failures by command."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Mapping, Sequence

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from patter_core.aio import Changes
from patter_core.server.serving import serve_app

__all__ = ["Refused", "SpeechService"]

_MAX_MESSAGE = 16 * 2**20
_LONGEST_REASON = 120
"""Characters of a close frame, which has 125 bytes."""


class Refused(Exception):
    """The service refuses what the client did, and closes the socket.

    Args:
        name: of the error.
        text: what it says.
        code: with which it closes.
    """

    def __init__(self, name: str, text: str, code: int = 1008) -> None:
        self.name = name
        self.text = text
        self.code = code
        super().__init__(name, text)


class SpeechService(abc.ABC):
    """One service on a port of its own, for one API key."""

    def __init__(self, *, api_key: str = "emulated-key") -> None:
        self.api_key = api_key
        self.base_url = ""
        """Of the REST interface, `http://host:port`; the socket's is the same with ws."""
        self.refuse_upgrade = 0
        """An HTTP status to refuse the upgrade with; 0 accepts it."""
        self.refuse_rest: tuple[int, str] = (0, "")
        """An HTTP status and the name of an error to refuse REST requests with."""
        self.queries: list[Sequence[tuple[str, str]]] = []
        """Of all upgrades, in order."""
        self.sockets: list[WebSocket] = []
        """Those that are open."""
        self.received: list[str] = []
        """All messages of clients, in order, with what was not understood."""
        self.refusals: list[Refused] = []
        """What clients did that they may not: empty after a sound one."""
        self.changes = Changes()
        """Notified after each message, and each end of a socket."""
        self._stalled = False
        self._open = contextlib.AsyncExitStack()

    @property
    def secrets(self) -> Sequence[str]:
        return (self.api_key,)

    async def start(self) -> None:
        """Opens the port."""
        app = Starlette(
            routes=[
                Route("/v1/voices/{voice_id}", self._voice),
                Route("/v1/models", self._models),
                *(WebSocketRoute(path, self._serve) for path in self.paths),
            ]
        )
        served = serve_app(app, max_message=_MAX_MESSAGE)
        self.base_url = await self._open.enter_async_context(served)

    async def stop(self) -> None:
        """Closes it, and every connection that came through it."""
        await self._open.aclose()

    def stall(self) -> None:
        """Nothing more is said, and no new session becomes ready."""
        self._stalled = True

    async def inject(self, message: str | bytes) -> None:
        """Sends anything on all sockets."""
        for socket in list(self.sockets):
            await self.send(socket, message)

    async def drop(self) -> None:
        """Closes all sockets without a word, as a service that restarts."""
        for socket in list(self.sockets):
            await self.close(socket, 1012, "")

    async def until_connected(self, number: int) -> None:
        """Waits until that many clients have connected."""
        await self.changes.wait_until(lambda: len(self.queries) >= number)

    # --- what a service adds ---------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def paths(self) -> Sequence[str]:
        """Of its sockets."""

    @property
    @abc.abstractmethod
    def options(self) -> Mapping[str, frozenset[str] | None]:
        """The parameters of a query with their values; None for any."""

    @abc.abstractmethod
    async def converse(self, socket: WebSocket) -> None:
        """Talks on one socket to its end. Raises `Refused`, in a group or not, for what the client may not do."""

    @abc.abstractmethod
    async def tell(self, socket: WebSocket, refused: Refused) -> None:
        """Sends an error."""

    def has_voice(self, voice_id: str) -> bool:
        """True if the account has the voice."""
        return bool(voice_id)

    # --- sockets ---------------------------------------------------------------------------------------------------

    async def send(self, socket: WebSocket, message: str | bytes) -> None:
        """Sends a message, if the peer is still there and the service says anything at all."""
        if self._stalled or socket.application_state is not WebSocketState.CONNECTED:
            return
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))

    async def close(self, socket: WebSocket, code: int, reason: str) -> None:
        """Closes a socket."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await socket.close(code, reason[:_LONGEST_REASON])

    async def receive(self, socket: WebSocket) -> str:
        """Returns the client's next text.

        Raises:
            Refused: it is none.
            WebSocketDisconnect: the client is gone.
        """
        frame = await socket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code", 1006))
        text: str | None = frame.get("text")
        if text is None:
            raise Refused("invalid_message", "Messages are JSON text, never binary.")
        self.received.append(text)
        return text

    async def fail_with(self, refused: Refused) -> None:
        """Ends all sockets by an error of the service."""
        for socket in list(self.sockets):
            await self.tell(socket, refused)
            await self.close(socket, refused.code, refused.text)

    async def _serve(self, socket: WebSocket) -> None:
        if self._stalled:
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
            return
        query = socket.query_params.multi_items()
        self.queries.append(query)
        status = self.refuse_upgrade or (400 if self._is_unknown(query) else 0)
        if status:
            await socket.send_denial_response(Response(status_code=status))
            self.changes.notify()
            return
        await socket.accept()
        self.sockets.append(socket)
        self.changes.notify()
        try:
            await self._admit(socket)
        except* WebSocketDisconnect:
            pass
        except* Refused as group:
            await self._refuse(socket, group)
        finally:
            self.sockets.remove(socket)
            self.changes.notify()

    async def _admit(self, socket: WebSocket) -> None:
        if socket.headers.get("xi-api-key") != self.api_key:
            raise Refused("invalid_api_key", "Invalid API key")
        await self.converse(socket)

    async def _refuse(self, socket: WebSocket, group: BaseExceptionGroup[Refused]) -> None:
        first = group.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        self.refusals.append(first)
        await self.tell(socket, first)
        await self.close(socket, first.code, first.text)

    def _is_unknown(self, query: Sequence[tuple[str, str]]) -> bool:
        """True if there is a parameter that the service does not know, or one with a value that it does not take."""
        known = self.options
        return any(name not in known or value not in (known[name] or {value}) for name, value in query)

    # --- REST ------------------------------------------------------------------------------------------------------

    async def _voice(self, request: Request) -> Response:
        voice_id = str(request.path_params["voice_id"])
        if refusal := self._rest_refusal(request):
            return refusal
        if not self.has_voice(voice_id):
            return _refusal(400, "voice_not_found")
        return JSONResponse({"voice_id": voice_id, "name": "The emulated voice"})

    async def _models(self, request: Request) -> Response:
        return self._rest_refusal(request) or JSONResponse([{"model_id": "eleven_flash_v2_5"}])

    def _rest_refusal(self, request: Request) -> Response | None:
        status, name = self.refuse_rest
        if status:
            return _refusal(status, name)
        return _refusal(401, "invalid_api_key") if request.headers.get("xi-api-key") != self.api_key else None


def _refusal(status: int, name: str) -> Response:
    body = msgspec.json.encode({"detail": {"status": name, "message": name}})
    return Response(body, status_code=status, media_type="application/json")
