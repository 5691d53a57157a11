"""A pipeline for `check_engine`: its services are the fakes, which hear, think and speak by themselves.

The agent greets, and repeats each of `CALLER_LINES` that it hears.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import anyio
import msgspec
from starlette.websockets import WebSocket

from patter_core.audio import ULAW_8000
from patter_core.engine import ConversationSetup, EngineCapability, EngineSession
from patter_core.events import ToolCall
from patter_core.history import HistoryItem, ToolState, ToolUsed, UserSaid
from patter_core.testing.emulator import EngineEmulator, Told
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_pipeline.engine import Pipeline
from patter_pipeline.testing.emulators import Answer
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeSttEmulator, FakeTtsEmulator
from patter_pipeline.testing.known_speech import KnownSpeech

__all__ = ["PipelineEmulator"]

_ASKED = "Could you please do that now?"
"""What the caller says when the agent is to call a tool."""
_INTERRUPTION = "No, wait a moment please."
_PROTECTED = 2.0
"""Seconds: in the first of a greeting no words interrupt it, those just told began 0.5 s ago, and some more."""
_NO_MORE = 0.5
"""Seconds after which no session of a part is opened anew."""


class _Greeting(Pipeline):
    """A pipeline that greets by itself: a call's agent does so by its first message."""

    async def open(self, setup: ConversationSetup) -> EngineSession:
        if not (setup.first_message or setup.resumed):
            setup = msgspec.structs.replace(setup, first_message=GREETING.text)
        return await super().open(setup)


class _Ears(FakeSttEmulator):
    """Recognises lines by itself, when it is asked for the final text: no words are told while the caller speaks."""

    def __init__(self) -> None:
        super().__init__(interims=False)
        self._known: dict[WebSocket, KnownSpeech] = {}

    async def finalize(self, socket: WebSocket, audio: bytes) -> None:
        known = self._known.setdefault(socket, KnownSpeech(ULAW_8000, CALLER_LINES))
        text = known.text(audio)
        if text:
            await self.tell(socket, "final", text)

    async def hear(self, text: str) -> None:
        """The caller has just said that, in every session."""
        for socket in list(self.sockets):
            await self.tell(socket, "interim", text)
            await self.tell(socket, "final", text)


class _Head(FakeLlmEmulator):
    """Repeats what the caller said last, or calls the tools that are due."""

    def __init__(self) -> None:
        super().__init__(delay=0.02)
        self.calls: list[ToolCall] = []

    async def answer_at(self, socket: WebSocket) -> None:
        await anyio.sleep(0.1)  # what is called at once is called in one answer
        await super().answer_at(socket)

    def next_answer(self) -> Answer:
        asked = self.requests[-1]
        known = {item.id for item in asked.history if isinstance(item, ToolUsed)}
        self.calls = [call for call in self.calls if call.id not in known]  # a draft may be thrown away
        if self.calls and {call.name for call in self.calls} <= {tool.name for tool in asked.tools}:
            return Answer(tuple(self.calls))
        last = asked.history[-1] if asked.history else None
        return Answer((last.text if isinstance(last, UserSaid) else "It is done.",))


class PipelineEmulator(EngineEmulator):
    """Plays the services of a pipeline's parts. Inside its context their ports are open."""

    agent_ends: ClassVar[bool] = False
    remembers: ClassVar[bool] = False

    def __init__(self) -> None:
        self.stt, self.llm, self.tts = _Ears(), _Head(), FakeTtsEmulator()
        self._told: list[Told] = []
        self._asked = 0
        """How many requests of the model are in `_told`."""
        self._spoken: dict[int, str] = {}
        """What is in `_told` of each utterance."""
        self._answered: set[str] = set()
        """Calls of tools whose results are in `_told`."""
        self._ids = itertools.count(1)
        self._open = contextlib.AsyncExitStack()

    async def start(self) -> None:
        for emulator in (self.stt, self.llm, self.tts):
            await self._open.enter_async_context(emulator)

    async def stop(self) -> None:
        await self._open.aclose()

    def engine(self) -> Pipeline:
        return _Greeting((self.stt.part(),), (self.llm.part(),), (self.tts.part(),))

    async def fail(self) -> None:
        """Speech recognition fails as often as it is tried."""
        while self.stt.sockets:
            await self.stt.fail()
            await self.stt.changes.wait_until(lambda: not self.stt.sockets)
            with anyio.move_on_after(_NO_MORE):
                await self.stt.changes.wait_until(lambda: bool(self.stt.sockets))

    async def interrupt(self) -> None:
        await anyio.sleep(_PROTECTED)
        spoken = self.tts.speaking
        await self.stt.hear(_INTERRUPTION)
        for utterance in spoken:
            await self.tts.say_late(utterance)

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> None:
        self.llm.calls.append(ToolCall(f"call-{next(self._ids)}", name, msgspec.json.encode(arguments).decode()))
        if len(self.llm.calls) == 1:
            await anyio.sleep(_PROTECTED)
            await self.stt.hear(_ASKED)

    async def inject(self, message: str | bytes) -> None:
        await self.stt.inject(message)
        await self.tts.inject(message)

    @property
    def told(self) -> Sequence[Told]:
        for asked in self.llm.requests[self._asked :]:
            self._asked += 1
            for item in asked.history:
                self._take(item)
            if asked.history and isinstance(last := asked.history[-1], UserSaid):
                self._told.append(Told(EngineCapability.USER_MESSAGE, last.text))
        for place, text in enumerate(self.tts.given):
            if self._spoken.get(place) != text:
                self._spoken[place] = text
                self._told.append(Told(EngineCapability.SAY, text))
        return self._told

    def _take(self, item: HistoryItem) -> None:
        if not isinstance(item, ToolUsed):
            self._told.append(Told(EngineCapability.HISTORY, item.text))
            return
        text = f"{item.name}({item.arguments}) {item.result}"
        self._told.append(Told(EngineCapability.HISTORY, text))
        if item.state is not ToolState.RUNNING and item.id not in self._answered:
            self._answered.add(item.id)
            failed = item.state is ToolState.FAILED
            self._told.append(Told(EngineCapability.TOOLS, item.result, id=item.id, failed=failed))
