"""A fake language model: it answers what the test tells its emulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar

import anyio
import msgspec
from starlette.websockets import WebSocket

from patter_core.errors import EngineFailed, EngineLost, SocketClosed
from patter_core.events import ToolCall, Usage
from patter_core.history import HistoryItem
from patter_core.net.websocket import EngineSocket
from patter_core.tools.spec import ToolSpec
from patter_pipeline.parts import LanguageModel, LlmEvent, LlmRequest, TextDelta
from patter_pipeline.testing.emulators import Ending, LlmEmulator
from patter_pipeline.testing.fakes.service import Service, ended

__all__ = ["FakeLlm", "FakeLlmEmulator"]


class Asked(msgspec.Struct, frozen=True):
    """The request."""

    instructions: str
    history: tuple[HistoryItem, ...]
    tools: tuple[ToolSpec, ...]


class Piece(msgspec.Struct, frozen=True):
    """A message of the service."""

    type: str
    """`text`, `call`, `done` or `failed`."""
    text: str = ""
    id: str = ""
    name: str = ""
    arguments: str = ""


class FakeLlm(LanguageModel):
    """Answers by a socket for each request.

    Args:
        url: of the emulator.
    """

    name: ClassVar[str] = "fake"
    emulator: ClassVar[str] = "patter_pipeline.testing.fakes:FakeLlmEmulator"

    def __init__(self, url: str) -> None:
        self._url = url

    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        asked = Asked(request.instructions, request.history, request.tools)
        socket = await EngineSocket.open(self._url, open_timeout=3.0)
        try:
            socket.send(msgspec.json.encode(asked))
            while True:
                try:
                    piece = msgspec.json.decode(await socket.receive(), type=Piece)
                except SocketClosed as closed:
                    raise ended(closed) from closed
                except msgspec.DecodeError:
                    raise EngineLost("The fake model sent no JSON.", retry=True) from None
                match piece.type:
                    case "text":
                        yield TextDelta(piece.text)
                    case "call":
                        yield ToolCall(piece.id, piece.name, piece.arguments)
                    case "failed":
                        raise EngineFailed("The fake model failed.", retry=True)
                    case "done":
                        yield Usage(part="llm", vendor="fake", amounts={"output_text_tokens": 1.0})
                        return
        finally:
            with anyio.CancelScope(shield=True):
                await socket.aclose()


class FakeLlmEmulator(Service, LlmEmulator):
    """Plays the service.

    Args:
        delay: s before the first piece, and before each further one.
    """

    def __init__(self, *, delay: float = 0.0) -> None:
        Service.__init__(self)
        LlmEmulator.__init__(self)
        self.delay = delay
        self._asked: list[str] = []

    def part(self) -> FakeLlm:
        return FakeLlm(self.url)

    @property
    def asked(self) -> Sequence[str]:
        return self._asked

    @property
    def requests(self) -> Sequence[Asked]:
        """The same, decoded."""
        return [msgspec.json.decode(text, type=Asked) for text in self._asked]

    @property
    def answering(self) -> int:
        return len(self.sockets)

    async def converse(self, socket: WebSocket) -> None:
        self._asked.append(await socket.receive_text())
        self.changes.notify()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.answer_at, socket)
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
            tasks.cancel_scope.cancel()

    async def answer_at(self, socket: WebSocket) -> None:
        """Answers the request that came there, the last of `asked`."""
        answer = self.next_answer()
        for piece in answer.pieces:
            await anyio.sleep(self.delay)
            if isinstance(piece, str):
                told = Piece("text", piece)
            else:
                told = Piece("call", "", piece.id, piece.name, piece.arguments)
            await self.send(socket, msgspec.json.encode(told).decode())
        if answer.ending is not Ending.STALL:
            ending = "done" if answer.ending is Ending.DONE else "failed"
            await self.send(socket, msgspec.json.encode(Piece(ending)).decode())
