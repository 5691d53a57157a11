"""The emulated service: a server on a loopback port that speaks the GPT-Live protocol."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from patter_core.aio import Changes
from patter_core.audio import AudioChunk
from patter_core.engine import EngineCapability
from patter_core.errors import AudioError
from patter_core.server.serving import serve_app
from patter_core.testing.emulator import EngineEmulator, Told
from patter_core.testing.speech import GREETING
from patter_openai.live import wire
from patter_openai.live.engine import OpenAILive
from patter_openai.testing.conversation import ConversationOver, ConversationSocket
from patter_openai.testing.emulator import refusal, send_to
from patter_openai.testing.live.conversation import LiveBehaviour, LiveConversation
from patter_openai.testing.told import history_told, result_told

__all__ = ["OpenAILiveEmulator"]

_as_message: msgspec.json.Decoder[wire.LiveClient] = msgspec.json.Decoder(wire.LiveClient)


class OpenAILiveEmulator(EngineEmulator):
    """Emulates the service for one API key. Inside its context the port is open."""

    agent_ends: ClassVar[bool] = False

    def __init__(self, behaviour: LiveBehaviour | None = None, *, api_key: str = "sk-emulated") -> None:
        self.behaviour = behaviour or LiveBehaviour()
        """May be changed between sessions."""
        self.api_key = api_key
        self.base_url = ""
        """`http://host:port/v1`; the socket's is the same with ws."""
        self.conversations: list[LiveConversation] = []
        """All sessions, in order, including finished ones."""
        self._failures: list[Exception] = []
        self._resources = contextlib.AsyncExitStack()
        self._changes = Changes()

    async def start(self) -> None:
        routes = [WebSocketRoute("/v1/live/sessions", self._converse), Route("/v1/models", self._list)]
        self.base_url = f"{await self._resources.enter_async_context(serve_app(Starlette(routes=routes)))}/v1"

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
        return [told for conversation in self.conversations for told in _told(conversation)]

    async def fail(self) -> None:
        await self._in_each(lambda conversation: conversation.close(1011, "Internal error"))

    async def interrupt(self) -> None:
        await self._in_each(LiveConversation.fall_silent)

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        await self._in_each(lambda conversation: conversation.call_tool(name, arguments))

    async def inject(self, message: str | bytes) -> None:
        await self._in_each(lambda conversation: conversation.send(message))

    async def _in_each(self, action: Callable[[LiveConversation], Awaitable[None]]) -> None:
        for conversation in self.conversations:
            if conversation.close_code is None and conversation.config is not None:
                with contextlib.suppress(ConversationOver):
                    await action(conversation)

    @property
    def environment(self) -> dict[str, str]:
        return {"OPENAI_API_KEY": self.api_key, "OPENAI_BASE_URL": self.base_url}

    def engine(self) -> OpenAILive:
        return OpenAILive(
            api_key=self.api_key,
            model=self.behaviour.models[0],
            base_url=self.base_url,
            first_message=GREETING.text,  # the model says nothing by itself
            tools_model="gpt-emulated",
        )

    async def conversation(self, number: int = 0) -> LiveConversation:
        """Waits for the session of that number, from 0 on, to have started."""
        await self._changes.wait_until(lambda: len(self.conversations) > number)
        talk = self.conversations[number]
        await talk.until(lambda: talk.config is not None)
        return talk

    async def _list(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return refusal(401)
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "openai"} for name in self.behaviour.models]
        return JSONResponse({"object": "list", "data": data})

    async def _converse(self, socket: WebSocket) -> None:
        status = self.behaviour.refuse_upgrade
        if not status and socket.headers.get("authorization") != f"Bearer {self.api_key}":
            status = 401
        if status:
            await socket.send_denial_response(refusal(status))
            return
        await socket.accept()
        functions = ConversationSocket(functools.partial(send_to, socket), socket.close)
        talk = LiveConversation(functions, self.behaviour, len(self.conversations) + 1)
        self.conversations.append(talk)
        self._changes.notify()
        try:
            await _host(talk, socket)
        except* (ConversationOver, WebSocketDisconnect):  # the client may close while we send
            pass
        except* Exception as failures:  # noqa: BLE001 - raised when the context ends
            self._failures.extend(failures.exceptions)
        finally:
            talk.over(1006, by="client")


def _told(talk: LiveConversation) -> list[Told]:
    """Returns what the client told by the capabilities of its engine."""
    earlier = talk.started.input if talk.config is not None else ()
    told = [history_told(item) for item in earlier] if isinstance(earlier, tuple) else []
    for message in talk.messages:
        match message:
            case wire.Commentary(content=text):
                told.append(Told(EngineCapability.PROMPT, text))
            case wire.ItemCreate(item=item) if item.type == "function_call_output":
                told.append(result_told(item))
            case _:
                pass
    return told


async def _host(talk: LiveConversation, socket: WebSocket) -> None:
    """Conducts a session to its end.

    Raises:
        ConversationOver: always, in a group.
    """
    async with anyio.create_task_group() as tasks:
        while True:
            frame = await socket.receive()
            if frame["type"] == "websocket.disconnect":
                talk.over(frame.get("code", 1006), by="client")
                raise ConversationOver
            try:
                message = _as_message.decode(frame.get("text") or "")
            except msgspec.DecodeError as error:
                await talk.refuse(str(error), code="invalid_request")
                continue
            had_started = talk.config is not None
            await _take(talk, message)
            if talk.config is not None and not had_started:
                tasks.start_soon(talk.expire)


async def _take(talk: LiveConversation, message: wire.LiveClient) -> None:
    if isinstance(message, wire.Start) == (talk.config is not None):
        await talk.refuse("session.start comes first, and once.", code="invalid_state")
        return
    if isinstance(message, wire.AudioAppend):
        try:
            await talk.hear(AudioChunk.from_base64(message.audio, talk.format).data)
        except AudioError as error:
            await talk.refuse(str(error), code="invalid_audio", param="audio")
        return
    talk.messages.append(message)
    talk.notify()
    if isinstance(message, wire.Start):
        await _start(talk, message.session)
    else:
        await _obey(talk, message)


async def _start(talk: LiveConversation, config: wire.LiveConfig) -> None:
    if config.model not in talk.behaviour.models:
        await talk.refuse(f"There is no model {config.model}.", code="model_not_found", param="session.model")
        await talk.close(1008)
    talk.config = config
    await talk.send(wire.Started(session=talk.info()))


async def _obey(talk: LiveConversation, message: wire.LiveClient) -> None:
    match message:
        case wire.Commentary(content=text):
            await talk.acknowledge("commentary")
            asked = sum(isinstance(other, wire.Commentary) for other in talk.messages)
            if asked > talk.behaviour.mute:
                talk.say(text)
        case wire.Thinking():
            await talk.acknowledge("thinking")
        case wire.ItemCreate(item=item):
            if isinstance(item.call_id, str) and isinstance(item.output, str):
                talk.outputs[item.call_id] = item.output
        case wire.ResponseCreate():
            talk.say(", ".join(talk.outputs.values()) or "Nothing.")
        case _:  # session.close
            await talk.finish("close_requested")
