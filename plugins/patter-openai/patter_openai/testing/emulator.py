"""The emulated service: a server on a loopback port that speaks the Realtime protocol."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from patter_core.aio import Changes
from patter_core.server.serving import serve_app
from patter_core.testing.emulator import EngineEmulator, Told
from patter_core.testing.speech import GREETING
from patter_openai import wire
from patter_openai.engine import OpenAIRealtime
from patter_openai.testing.behaviour import Behaviour
from patter_openai.testing.commands import call_tool, interrupt
from patter_openai.testing.conversation import Conversation, ConversationOver, ConversationSocket
from patter_openai.testing.hosting import host

__all__ = ["OpenAIRealtimeEmulator", "refusal", "send_to"]

_MAX_MESSAGE = 16 * 2**20


class OpenAIRealtimeEmulator(EngineEmulator):
    """Emulates the service for one API key. Inside its context the port is open.

    An exception in an agent's script is raised when the context ends, so that an `assert` in a script fails the test.
    """

    agent_ends: ClassVar[bool] = False

    def __init__(self, behaviour: Behaviour | None = None, *, api_key: str = "sk-emulated") -> None:
        self.behaviour = behaviour or Behaviour()
        """May be changed between sessions."""
        self.api_key = api_key
        self.base_url = ""
        """`http://host:port/v1`; the socket's is the same with ws."""
        self.conversations: list[Conversation] = []
        """All sessions, in order, including finished ones."""
        self._failures: list[Exception] = []
        self._resources = contextlib.AsyncExitStack()
        self._changes = Changes()

    async def start(self) -> None:
        routes = [WebSocketRoute("/v1/realtime", self._converse), Route("/v1/models", self._list)]
        served = serve_app(Starlette(routes=routes), max_message=_MAX_MESSAGE)
        self.base_url = f"{await self._resources.enter_async_context(served)}/v1"

    async def stop(self) -> None:
        await self._resources.aclose()
        failures, self._failures = self._failures, []
        if failures:
            raise ExceptionGroup("Scripts of the emulated agent failed.", failures)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)

    @property
    def told(self) -> Sequence[Told]:
        return [told for conversation in self.conversations for told in conversation.told.all]

    async def fail(self) -> None:
        await self._in_each(lambda conversation: conversation.close(1011, "Internal error"))

    async def interrupt(self) -> None:
        await self._in_each(interrupt)

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        await self._in_each(lambda conversation: call_tool(conversation, name, arguments))

    async def inject(self, message: str | bytes) -> None:
        await self._in_each(lambda conversation: conversation.send(message))

    async def _in_each(self, action: Callable[[Conversation], Awaitable[None]]) -> None:
        for conversation in self.conversations:
            if conversation.close_code is None:
                with contextlib.suppress(ConversationOver):
                    await action(conversation)

    @property
    def environment(self) -> dict[str, str]:
        return {"OPENAI_API_KEY": self.api_key, "OPENAI_BASE_URL": self.base_url}

    def engine(self) -> OpenAIRealtime:
        return OpenAIRealtime(
            api_key=self.api_key,
            model=self.behaviour.models[0],
            base_url=self.base_url,
            first_message=GREETING.text,  # the model says nothing by itself
        )

    async def conversation(self, number: int = 0) -> Conversation:
        """Waits for the session of that number, from 0 on."""
        await self._changes.wait_until(lambda: len(self.conversations) > number)
        return self.conversations[number]

    # --- REST ------------------------------------------------------------------------------------------------------

    async def _list(self, request: Request) -> Response:
        status = self.behaviour.refuse_rest or (0 if self._is_authorised(request.headers.get("authorization")) else 401)
        if status:
            return refusal(status)
        models = [
            {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "openai"}
            for name in (*self.behaviour.models, "gpt-transcribe")
        ]
        return JSONResponse({"object": "list", "data": models})

    def _is_authorised(self, header: str | None) -> bool:
        return header == f"Bearer {self.api_key}"

    # --- sessions --------------------------------------------------------------------------------------------------

    async def _converse(self, socket: WebSocket) -> None:
        behaviour = self.behaviour
        model = socket.query_params.get("model", "")
        status = behaviour.refuse_upgrade
        if not status and not self._is_authorised(socket.headers.get("authorization")):
            status = 401
        if not status and model not in behaviour.models and not behaviour.refuse_model_late:
            status = 404
        if status:
            await socket.send_denial_response(refusal(status))
            return
        await socket.accept()
        functions = ConversationSocket(functools.partial(send_to, socket), socket.close)
        talk = Conversation(functions, behaviour, model, len(self.conversations) + 1)
        self.conversations.append(talk)
        self._changes.notify()
        try:
            if model not in behaviour.models:
                await _refuse_model(talk)
            await host(talk, socket)
        except* (ConversationOver, WebSocketDisconnect):  # the client may close while we send
            pass
        except* Exception as failures:  # noqa: BLE001 - raised when the context ends
            self._failures.extend(failures.exceptions)
            with contextlib.suppress(ConversationOver):
                await talk.close(1011, "Internal error")
        finally:
            talk.over(1006, by="client")


async def _refuse_model(talk: Conversation) -> None:
    text = f"The model `{talk.model}` does not exist or you do not have access to it."
    await talk.fail(wire.ServiceError(type="invalid_request_error", code="model_not_found", message=text))
    await talk.close(1008)


async def send_to(socket: WebSocket, message: str | bytes) -> None:
    """Sends a text or a binary message.

    Raises:
        ConversationOver: the client is gone.
    """
    if socket.application_state is not WebSocketState.CONNECTED:  # another send has found that the client is gone
        raise ConversationOver
    try:
        await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))
    except WebSocketDisconnect:  # the client is gone, and `host` is about to notice
        raise ConversationOver from None


def refusal(status: int) -> Response:
    """Returns how the service refuses a request."""
    error = {"message": "Refused", "type": "invalid_request_error", "code": None, "param": None}
    return JSONResponse({"error": error}, status_code=status)
