"""A telephone at the other end of a session: it plays what the agent says in real time, and tells what was heard."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import anyio
import anyio.abc
import msgspec

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.engine import ConversationSetup, EngineSession, Heard, HeardItem
from patter_core.events import (
    EngineEvent,
    Interruption,
    PausePlayback,
    ResponseDone,
    ResponseStart,
    SpeechItem,
    TranscriptInput,
)
from patter_core.telephony.leg import Direction, Leg
from patter_pipeline import Pipeline
from tests.turns.cases import AGENT_TEXT, Case

__all__ = ["Outcome", "call"]

_FRAME = 0.02
_AGENT_AT_MS = 200.0
"""When the agent begins to speak, where it does."""


class Outcome(msgspec.Struct):
    """What happened in a case, in ms of the caller's audio."""

    decided: list[float] = []
    """The caller's turn was taken to be complete."""
    spoke: list[float] = []
    """The agent began to speak."""
    paused: list[float] = []
    """It fell silent, since the caller may be interrupting."""
    interrupted: list[float] = []
    """It was interrupted."""
    resumed: list[float] = []
    """It went on after a pause."""
    heard_ms: float = 0.0
    """Of its first speech."""
    texts: list[str] = []
    """Of the caller's turns."""


class _Phone:
    """Plays the agent's audio.

    Args:
        session: of the call.
        clock: in s.
    """

    def __init__(self, session: EngineSession, clock: Callable[[], float]) -> None:
        self.outcome = Outcome()
        self._session = session
        self._clock = clock
        self._began = clock()
        self._turn = ""
        self._sent_ms = 0.0
        self._ends_at = -math.inf
        """When what it has will have been played."""
        self._is_paused = False

    def now_ms(self) -> float:
        """Since the call began."""
        return (self._clock() - self._began) * 1000

    async def run(self, tasks: anyio.abc.TaskGroup) -> None:
        """Takes what the session says, to its end."""
        async for event in self._session.events():
            if isinstance(event, AudioChunk):
                self._ends_at = max(self._ends_at, self._clock()) + event.duration_ms / 1000
                self._sent_ms += event.duration_ms
            else:
                self._take(event, tasks)

    def _take(self, event: EngineEvent, tasks: anyio.abc.TaskGroup) -> None:
        outcome = self.outcome
        match event:
            case TranscriptInput(text=text):
                outcome.decided.append(self.now_ms())
                outcome.texts.append(text)
            case ResponseStart(turn=turn):
                outcome.spoke.append(self.now_ms())
                self._turn, self._sent_ms, self._ends_at = turn, 0.0, -math.inf
            case SpeechItem(offset_ms=offset) if self._is_paused:
                outcome.resumed.append(self.now_ms())
                self._is_paused = False
                self._sent_ms, self._ends_at = offset, -math.inf
            case PausePlayback():
                outcome.paused.append(self.now_ms())
                self._is_paused = True
                self._stop(paused=True)
            case Interruption():
                outcome.interrupted.append(self.now_ms())
                self._stop(interrupted=True)
                self._is_paused = False
            case ResponseDone(turn=turn):
                tasks.start_soon(self._play_out, turn)

    def _stop(self, *, paused: bool = False, interrupted: bool = False) -> None:
        """What was not played is thrown away."""
        left_ms = max(0.0, (self._ends_at - self._clock()) * 1000) if self._ends_at > 0 else 0.0
        heard_ms = self._sent_ms - left_ms
        self._ends_at = -math.inf
        self._sent_ms = heard_ms
        self._tell(heard_ms, paused=paused, interrupted=interrupted)

    async def _play_out(self, turn: str) -> None:
        ends_at = self._ends_at
        await anyio.sleep(max(0.0, ends_at - self._clock()))
        if self._turn == turn and self._ends_at == ends_at and not self._is_paused:
            self._tell(self._sent_ms)

    def _tell(self, heard_ms: float, *, paused: bool = False, interrupted: bool = False) -> None:
        if len(self.outcome.spoke) == 1:
            self.outcome.heard_ms = heard_ms
        item = HeardItem(item=self._turn, heard_ms=heard_ms, sent_ms=self._sent_ms)
        self._session.heard(Heard(turn=self._turn, items=(item,), paused=paused, interrupted=interrupted))


async def call(pipeline: Pipeline, case: Case) -> Outcome:
    """Has a call, as the case says."""
    leg = Leg(carrier="fake", call_id="leg", direction=Direction.INBOUND)
    session = await pipeline.open(ConversationSetup(leg=leg, preferred_format=ULAW_8000))
    clock = asyncio.get_running_loop().time
    phone = _Phone(session, clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(phone.run, tasks)
        due = clock()
        is_due = case.agent_speaks
        for frame in case.frames():
            session.send_audio(frame)
            if is_due and phone.now_ms() >= _AGENT_AT_MS:
                session.say(AGENT_TEXT)
                is_due = False
            due += _FRAME
            await anyio.sleep(due - clock())
        if case.agent_speaks:  # to its last word
            await anyio.sleep(8)
        await session.aclose()
        tasks.cancel_scope.cancel()
    return phone.outcome
