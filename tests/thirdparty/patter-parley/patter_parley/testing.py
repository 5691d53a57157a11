"""Parley's service, emulated: its agent says each turn in items, and remembers them."""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Mapping, Sequence

import anyio
import anyio.abc
import msgspec
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from patter_core.aio import Changes
from patter_core.engine import EngineCapability
from patter_core.errors import AudioError
from patter_core.server.serving import serve_app
from patter_core.testing.emulator import EngineEmulator, Told
from patter_parley import wire
from patter_parley.engine import Parley
from patter_parley.talk import Talk

__all__ = ["ParleyEmulator"]


class ParleyEmulator(EngineEmulator):
    """Emulates the service for one key.

    Args:
        greeting: the items of the agent's first turn, in the conversation's format; by default the usual greeting.
        pace: speed of sending speech, as a multiple of its playing speed.
    """

    def __init__(self, *, greeting: Sequence[bytes] = (), pace: float = 5) -> None:
        self.api_key = secrets.token_hex(16)
        self.url = ""
        self.talks: list[Talk] = []
        """All conversations, in order."""
        self.changes = Changes()
        """Notified after each message of a client."""
        self._greeting = greeting
        self._pace = pace
        self._told: list[Told] = []
        self._open = contextlib.AsyncExitStack()

    @property
    def secrets(self) -> Sequence[str]:
        return (self.api_key,)

    async def start(self) -> None:
        app = Starlette(routes=[WebSocketRoute("/realtime", self._serve)])
        base = await self._open.enter_async_context(serve_app(app, max_message=2**20))
        self.url = f"{base.replace('http', 'ws', 1)}/realtime"

    async def stop(self) -> None:
        await self._open.aclose()

    def engine(self) -> Parley:
        return Parley(self.api_key, self.url)

    @property
    def told(self) -> Sequence[Told]:
        return self._told

    async def end(self) -> None:
        for talk in self._talking():
            await talk.close(1000)

    async def fail(self) -> None:
        for talk in self._talking():
            await talk.close(1011)

    async def interrupt(self) -> None:
        for talk in self._talking():
            response = talk.response
            await talk.agent.interrupt()
            await talk.send_late(response)

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        for talk in self._talking():
            await talk.call_tool(name, arguments)

    async def inject(self, message: str | bytes) -> None:
        for talk in self._talking():
            await talk.send_raw(message)

    def _talking(self) -> list[Talk]:
        return [talk for talk in self.talks if talk.is_open]

    async def _serve(self, socket: WebSocket) -> None:
        if socket.headers.get("authorization") != f"Bearer {self.api_key}":
            await socket.close(1008)
            return
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, msgspec.DecodeError):
            first = wire.read_client(await socket.receive_text())
            if isinstance(first, wire.UpdateSession) and first.format in wire.FORMATS:
                tools = {tool.name for tool in first.tools}
                await self._converse(Talk(socket, first.format, self._greeting, self._pace, tools))

    async def _converse(self, talk: Talk) -> None:
        await talk.send(wire.Updated(talk.session_id, talk.format_name))
        self.talks.append(talk)
        try:
            async with anyio.create_task_group() as tasks:
                while True:
                    await self._take(talk, await talk.receive(), tasks)
                    self.changes.notify()
        except* WebSocketDisconnect:
            pass
        finally:
            talk.is_open = False
            self.changes.notify()

    async def _take(self, talk: Talk, text: str, tasks: anyio.abc.TaskGroup) -> None:
        try:
            message = wire.read_client(text)
            match message:
                case wire.Append(audio=audio):
                    if not talk.has_begun:
                        talk.has_begun = True
                        tasks.start_soon(functools.partial(talk.agent.run, greets=False))
                    talk.hear(audio)
                case wire.CreateResponse(instructions=text) if not talk.has_begun:
                    talk.has_begun = True
                    tasks.start_soon(talk.agent.run, text)
                case wire.CreateResponse(instructions=text) if text:
                    self._told.append(Told(EngineCapability.PROMPT, text))
                case wire.CreateItem(item=item):
                    await self._take_item(talk, item)
                case wire.TruncateItem(item_id=item, audio_end_ms=end_ms):
                    await talk.answer(talk.memory.truncate(item, end_ms))
                case wire.DeleteItem(item_id=item):
                    await talk.answer(talk.memory.delete(item))
        except (msgspec.DecodeError, AudioError):
            await talk.close(1008)

    async def _take_item(self, talk: Talk, item: wire.Message | wire.FunctionCall | wire.CallOutput) -> None:
        if not talk.has_begun:
            self._told.append(_earlier(item))
        elif isinstance(item, wire.CallOutput) and item.call_id not in talk.calls:
            await talk.answer(f"There is no function call {item.call_id}.")
        else:
            self._told.append(_told(item))


def _told(item: wire.Message | wire.FunctionCall | wire.CallOutput) -> Told:
    if not isinstance(item, wire.CallOutput):
        return Told(EngineCapability.USER_MESSAGE, item.text if isinstance(item, wire.Message) else item.arguments)
    try:
        failure = msgspec.json.decode(item.output, type=wire.Failure)
    except msgspec.DecodeError:
        return Told(EngineCapability.TOOLS, item.output, id=item.call_id)
    return Told(EngineCapability.TOOLS, failure.error, id=item.call_id, failed=True)


def _earlier(item: wire.Message | wire.FunctionCall | wire.CallOutput) -> Told:
    match item:
        case wire.Message(text=text):
            return Told(EngineCapability.HISTORY, text)
        case wire.FunctionCall(name=name, arguments=arguments):
            return Told(EngineCapability.HISTORY, f"{name}({arguments})")
        case wire.CallOutput():
            return Told(EngineCapability.HISTORY, _told(item).text)
