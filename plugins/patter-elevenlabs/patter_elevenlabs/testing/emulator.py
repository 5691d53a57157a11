"""The emulated service: a server on a loopback port that speaks the protocol of conversations."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from patter_core.aio import Changes
from patter_core.audio import AudioFormat
from patter_core.engine import EngineCapability
from patter_core.server.serving import serve_app
from patter_core.testing.emulator import EngineEmulator, Told
from patter_elevenlabs import wire
from patter_elevenlabs.engine import ElevenLabsConvAI
from patter_elevenlabs.formats import FORMATS, audio_format
from patter_elevenlabs.testing.behaviour import Behaviour
from patter_elevenlabs.testing.conversation import Conversation, ConversationOver, ConversationSocket
from patter_elevenlabs.testing.hosting import host
from patter_elevenlabs.testing.rest import CONVERSATION_PATH, RestSide

__all__ = ["ElevenLabsEmulator"]

_MAX_MESSAGE = 16 * 2**20


class ElevenLabsEmulator(EngineEmulator):
    """Emulates the service for one agent and one API key. Inside its context the port is open.

    An exception in an agent's script is raised when the context ends, so that an `assert` in a script fails the test.
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
        """All conversations, in order, including finished ones."""
        self._rest = RestSide(self)
        self._failures: list[Exception] = []
        self._resources = contextlib.AsyncExitStack()
        self._changes = Changes()

    async def start(self) -> None:
        app = Starlette(routes=[WebSocketRoute(CONVERSATION_PATH, self._converse), *self._rest.routes()])
        served = serve_app(app, max_message=_MAX_MESSAGE)
        self.base_url = await self._resources.enter_async_context(served)

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
        told = []
        for conversation in self.conversations:
            for message in conversation.messages:
                match message:
                    case wire.UserMessage(text=text):
                        told.append(Told(EngineCapability.USER_MESSAGE, text))
                    case wire.UserActivity():
                        told.append(Told(EngineCapability.ACTIVITY))
                    case wire.ToolResult(tool_call_id=id, result=text, is_error=failed):
                        told.append(Told(EngineCapability.OWN_TOOLS, text, id=id, failed=failed))
        return told

    async def end(self) -> None:
        await self._in_each(lambda conversation: conversation.close(1000))

    async def fail(self) -> None:
        await self._in_each(lambda conversation: conversation.close(1011, "Internal error"))

    async def interrupt(self) -> None:
        await self._in_each(Conversation.interrupt)
        await self._in_each(Conversation.send_late_audio)

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        await self._in_each(lambda conversation: conversation.send_tool_call(name, arguments))

    async def inject(self, message: str | bytes) -> None:
        await self._in_each(lambda conversation: conversation.send(message))

    async def _in_each(self, action: Callable[[Conversation], Awaitable[object]]) -> None:
        for conversation in self.conversations:
            if conversation.close_code is None:
                with contextlib.suppress(ConversationOver):
                    await action(conversation)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ELEVENLABS_API_KEY": self.api_key,
            "ELEVENLABS_AGENT_ID": self.agent_id,
            "ELEVENLABS_BASE_URL": self.base_url,
        }

    def engine(self) -> ElevenLabsConvAI:
        return ElevenLabsConvAI(
            api_key=self.api_key, agent_id=self.agent_id, base_url=self.base_url, client_tools=[repeat]
        )

    def prefer(self, format: AudioFormat) -> None:
        if (name := str(format)) in FORMATS:
            self.behaviour = dataclasses.replace(self.behaviour, input_format=name, output_format=name)

    @property
    def signed_url_queries(self) -> list[Mapping[str, str]]:
        """The queries of the requests for signed URLs that were answered with one."""
        return self._rest.queries

    async def conversation(self, number: int = 0) -> Conversation:
        """Waits for the conversation of that number, from 0 on."""
        await self._changes.wait_until(lambda: len(self.conversations) > number)
        return self.conversations[number]

    # --- conversations ---------------------------------------------------------------------------------------------

    def _is_authorised(self, socket: WebSocket) -> bool:
        query = socket.query_params
        if query.get("agent_id") != self.agent_id:
            return False
        if signature := query.get("conversation_signature"):
            return self._rest.redeem(signature)
        return not self.behaviour.private or socket.headers.get("xi-api-key") == self.api_key

    async def _converse(self, socket: WebSocket) -> None:
        behaviour = self.behaviour
        if behaviour.refuse_upgrade:
            await socket.send_denial_response(Response(status_code=behaviour.refuse_upgrade))
            return
        await socket.accept()
        if not self._is_authorised(socket):
            await socket.close(3000, "Not authorised, or no such agent.")  # the upgrade succeeds, as there
            return
        talk = Conversation(
            ConversationSocket(functools.partial(_send, socket), socket.close),
            conversation_id=f"conv_{secrets.token_hex(8)}",
            input_format=audio_format(behaviour.input_format),
            output_format=audio_format(behaviour.output_format),
            client_events=behaviour.client_events,
            chunk_ms=behaviour.chunk_ms,
            pace=behaviour.pace,
        )
        self.conversations.append(talk)
        self._changes.notify()
        try:
            await host(talk, socket, behaviour)
        except* (ConversationOver, WebSocketDisconnect):  # the client may close while we send
            pass
        except* Exception as failures:  # noqa: BLE001 - raised when the context ends
            self._failures.extend(failures.exceptions)
            await talk.abandon()
        finally:
            talk.over(1006, "", by="client")


def repeat(text: str) -> str:
    """Returns the text: the client tool of the agent that `engine()` is configured for."""
    return text


async def _send(socket: WebSocket, message: str | bytes) -> None:
    if socket.application_state is not WebSocketState.CONNECTED:  # another send has found that the client is gone
        raise ConversationOver
    try:
        await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))
    except WebSocketDisconnect:  # the client is gone, and `_listen` is about to notice
        raise ConversationOver from None
