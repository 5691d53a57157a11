"""An engine without a vendor: the test speaks for the agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import ClassVar

from patter_core.aio import Changes
from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.engine import ConversationSetup, Engine, EngineCapability, EngineSession, Heard
from patter_core.events import EngineEvent, ToolResult, Usage

__all__ = ["FakeEngine", "FakeSession"]


class FakeSession(EngineSession):
    """A conversation in which the test speaks for the agent: `give`, `end`, `fail`."""

    def __init__(self, setup: ConversationSetup, input_format: AudioFormat, output_format: AudioFormat) -> None:
        self.setup = setup
        self.received: list[AudioChunk] = []
        """The caller's audio."""
        self.told: list[Heard] = []
        """How much of its turns was heard."""
        self.digits: list[str] = []
        self.context: list[str] = []
        self.spoken: list[str] = []
        """What it was asked to say."""
        self.messages: list[str] = []
        """What was sent in the caller's place."""
        self.results: list[ToolResult] = []
        """Of the tools that it called."""
        self.holds: list[bool] = []
        self.activities = 0
        self.rest: Sequence[Usage] = ()
        """What it has used and not told."""
        self.closed = False
        self._input_format = input_format
        self._output_format = output_format
        self._said: asyncio.Queue[AudioChunk | EngineEvent | Exception | None] = asyncio.Queue()
        self._changes = Changes()

    @property
    def conversation_id(self) -> str:
        return "fake-conversation"

    @property
    def input_format(self) -> AudioFormat:
        return self._input_format

    @property
    def output_format(self) -> AudioFormat:
        return self._output_format

    @property
    def dropped(self) -> int:
        return 0

    def send_audio(self, chunk: AudioChunk) -> None:
        self.received.append(chunk)
        self._changes.notify()

    def heard(self, heard: Heard) -> None:
        self.told.append(heard)
        self._changes.notify()

    def send_dtmf(self, digit: str) -> None:
        self.digits.append(digit)
        self._changes.notify()

    def add_context(self, text: str) -> None:
        self.context.append(text)
        self._changes.notify()

    def say(self, text: str) -> None:
        self.spoken.append(text)
        self._changes.notify()

    def send_user_message(self, text: str) -> None:
        self.messages.append(text)
        self._changes.notify()

    def send_tool_result(self, result: ToolResult) -> None:
        self.results.append(result)
        self._changes.notify()

    def hold(self, on: bool) -> None:
        self.holds.append(on)
        self._changes.notify()

    def user_activity(self) -> None:
        self.activities += 1
        self._changes.notify()

    def unbilled(self) -> Sequence[Usage]:
        return self.rest

    async def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        while (event := await self._said.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    def give(self, event: AudioChunk | EngineEvent) -> None:
        """The agent speaks, or something happens."""
        self._said.put_nowait(event)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until what was heard, or pressed, makes it true."""
        await self._changes.wait_until(condition)

    def end(self) -> None:
        """The agent ends the conversation."""
        self._said.put_nowait(None)

    def fail(self, error: Exception) -> None:
        """The conversation is lost, or the plugin is broken."""
        self._said.put_nowait(error)

    async def aclose(self) -> None:
        self.closed = True
        self._said.put_nowait(None)


class FakeEngine(Engine):
    """An engine whose sessions the test holds in its hands."""

    name: ClassVar[str] = "fake"
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset({EngineCapability.TURNS, EngineCapability.SPEECH})

    def __init__(
        self,
        *,
        input_format: AudioFormat = ULAW_8000,
        output_format: AudioFormat = ULAW_8000,
        before_open: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.sessions: list[FakeSession] = []
        self._formats = (input_format, output_format)
        self.before_open = before_open
        self._changes = Changes()

    async def open(self, setup: ConversationSetup) -> EngineSession:
        if self.before_open is not None:
            await self.before_open()
        session = self.new_session(setup)
        self.sessions.append(session)
        self._changes.notify()
        return session

    def new_session(self, setup: ConversationSetup) -> FakeSession:
        """Makes a session: for tests that need one of their own kind."""
        return FakeSession(setup, *self._formats)

    async def session(self, number: int = 0) -> FakeSession:
        """The session of that number, from 0 on, once there is one."""
        await self._changes.wait_until(lambda: len(self.sessions) > number)
        return self.sessions[number]

    def sessions_of(self, call_id: str) -> list[FakeSession]:
        """The sessions of the call that has this id at its carrier."""
        return [session for session in self.sessions if session.setup.leg.call_id == call_id]

    async def session_of(self, call_id: str, number: int = 0) -> FakeSession:
        """One of them, from 0 on, once there is one."""
        await self._changes.wait_until(lambda: len(self.sessions_of(call_id)) > number)
        return self.sessions_of(call_id)[number]
