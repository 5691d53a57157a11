"""The emulated service: a real server on a real loopback port that speaks the protocol of conversations."""

from __future__ import annotations

import contextlib
import secrets
from urllib.parse import quote

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from patter_core.server.serving import serve_app
from patter_core.testing.emulator import EngineEmulator
from patter_elevenlabs.engine import ElevenLabsConvAI
from patter_elevenlabs.formats import audio_format
from patter_elevenlabs.testing.behaviour import Behaviour
from patter_elevenlabs.testing.conversation import Conversation, ConversationOver, ConversationSocket
from patter_elevenlabs.testing.hosting import host

__all__ = ["ElevenLabsEmulator"]

_PATH = "/v1/convai/conversation"
_MAX_MESSAGE = 16 * 2**20


class ElevenLabsEmulator(EngineEmulator):
    """Plays the service for one agent and one API key. Inside its context the port is open.

    An exception in an agent's script comes out when the context ends: an `assert` in a script is a test.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        api_key: str = "emulated-key",
        agent_id: str = "agent_emulated",
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        """May be changed between conversations."""
        self.api_key = api_key
        self.agent_id = agent_id
        self.base_url = ""
        """Of the REST interface, `http://host:port`; the socket's is the same with ws."""
        self.conversations: list[Conversation] = []
        """All that were begun, in order, the finished ones too."""
        self._signed: dict[str, float] = {}
        self._faults: list[Exception] = []
        self._resources = contextlib.AsyncExitStack()
        self._begun = anyio.Event()

    async def start(self) -> None:
        app = Starlette(
            routes=[
                WebSocketRoute(_PATH, self._converse),
                Route(f"{_PATH}/get-signed-url", self._sign),
            ]
        )
        self.base_url = await self._resources.enter_async_context(serve_app(app, max_message=_MAX_MESSAGE))

    async def stop(self) -> None:
        await self._resources.aclose()
        faults, self._faults = self._faults, []
        if faults:
            raise ExceptionGroup("Scripts of the emulated agent failed.", faults)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)

    async def inject(self, message: str | bytes) -> None:
        for conversation in self.conversations:
            if conversation.close_code is None:
                await conversation.send_raw(message)

    def engine(self) -> ElevenLabsConvAI:
        return ElevenLabsConvAI(api_key=self.api_key, agent_id=self.agent_id, base_url=self.base_url)

    async def conversation(self, number: int = 0) -> Conversation:
        """The conversation of that number, from 0 on, as soon as it is begun."""
        while len(self.conversations) <= number:
            await self._begun.wait()
        return self.conversations[number]

    # --- who may ---------------------------------------------------------------------------------------------------

    async def _sign(self, request: Request) -> Response:
        if request.headers.get("xi-api-key") != self.api_key:
            return _refusal(401, "invalid_api_key", "Invalid API key")
        if request.query_params.get("agent_id") != self.agent_id:
            return _refusal(404, "document_not_found", "No agent of that id")
        signature = secrets.token_urlsafe()
        self._signed[signature] = anyio.current_time() + self.behaviour.signed_url_life
        host = self.base_url.removeprefix("http")
        url = f"ws{host}{_PATH}?agent_id={quote(self.agent_id)}&conversation_signature={signature}"
        return JSONResponse({"signed_url": url})

    def _may_talk(self, socket: WebSocket) -> bool:
        query = socket.query_params
        if query.get("agent_id") != self.agent_id:
            return False
        if signature := query.get("conversation_signature"):
            return self._signed.get(signature, 0.0) > anyio.current_time()
        return socket.headers.get("xi-api-key") == self.api_key

    async def _converse(self, socket: WebSocket) -> None:
        behaviour = self.behaviour
        if behaviour.refuse_upgrade:
            await socket.send_denial_response(Response(status_code=behaviour.refuse_upgrade))
            return
        await socket.accept()
        if not self._may_talk(socket):
            await socket.close(3000, "Not authorised, or no such agent.")  # as seen; the upgrade itself succeeds
            return
        talk = Conversation(
            ConversationSocket(socket.send_text, socket.send_bytes, socket.close),
            conversation_id=f"conv_{secrets.token_hex(8)}",
            input_format=audio_format(behaviour.input_format),
            output_format=audio_format(behaviour.output_format),
            client_events=behaviour.client_events,
            chunk_ms=behaviour.chunk_ms,
            pace=behaviour.pace,
        )
        self.conversations.append(talk)
        self._begun.set()
        self._begun = anyio.Event()
        try:
            await host(talk, socket, behaviour)
        except* (ConversationOver, WebSocketDisconnect):  # the client may go away while we speak
            pass
        except* Exception as faults:  # noqa: BLE001 - told when the context ends
            self._faults.extend(faults.exceptions)
            await talk.abandon()
        finally:
            talk.over(1006, "", by="client")


def _refusal(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"detail": {"status": kind, "message": message}}, status_code=status)
