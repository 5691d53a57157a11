"""A conversation of a pipeline: what its parts and the call report goes to the turn-taking core, which says what to do.

Nothing is decided here. Each input is a step of the core at once; what it asks for is done before the next input.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import anyio
import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.engine import ConversationSetup, EngineSession, Heard
from patter_core.errors import EngineError, EngineLost
from patter_core.events import EngineEvent, ToolResult, Usage
from patter_core.history import UserSaid
from patter_core.net.inbox import EngineInbox
from patter_core.telephony.leg import Direction
from patter_pipeline.acting import Actor
from patter_pipeline.answering import Answers
from patter_pipeline.audio_clock import AudioClock
from patter_pipeline.detecting import Detector
from patter_pipeline.heard import Speeches
from patter_pipeline.hearing import Ear
from patter_pipeline.judging import Judge, judges_agent, judges_caller
from patter_pipeline.listening import Listener
from patter_pipeline.parts import SttSession, TtsSession
from patter_pipeline.speaking import Speaker
from patter_pipeline.turns import inputs
from patter_pipeline.turns.outputs import PartKind
from patter_pipeline.turns.settings import Settings
from patter_pipeline.turns.turns import Turns
from patter_pipeline.work import Closing, Work, close

if TYPE_CHECKING:
    from patter_pipeline.engine import Pipeline

__all__ = ["Opened", "PipelineSession"]

_log = logging.getLogger("patter.pipeline")

_PATIENCE_MS = 60_000.0
"""After which a caller no longer waits for an answer."""


class Opened(msgspec.Struct, frozen=True):
    """The sessions of parts that are open, and the places of these parts among those of their kind."""

    stt_place: int
    stt: SttSession
    tts_place: int
    tts: TtsSession
    output_format: AudioFormat


class PipelineSession(EngineSession):
    """Made by `open_session`.

    Args:
        pipeline: the parts.
        setup: the call.
        opened: what is open already.
        clock: monotonic, in s.
    """

    def __init__(
        self, pipeline: Pipeline, setup: ConversationSetup, opened: Opened, *, clock: Callable[[], float]
    ) -> None:
        self._format = setup.preferred_format
        self._playback = setup.playback
        self._output_format = opened.output_format
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._work = Work(self._crashed)
        self._pending: deque[inputs.Input] = deque()
        self._is_stepping = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._over = False
        self._inbox: EngineInbox[int] = EngineInbox()
        self._times = AudioClock(self._format, clock)
        self._ear = Ear(pipeline.vad, self._format, take=self._take, times=self._times)
        self._make_parts(pipeline, setup)
        epoch_ms = (time.time() - clock()) * 1000
        question = _unanswered(setup, epoch_ms + clock() * 1000)
        self._turns = Turns(
            _settings(pipeline, setup, opened),
            history=setup.history if question is None else setup.history[:-1],
            epoch_ms=epoch_ms,
        )
        self._listener.begin(opened.stt_place, opened.stt)
        self._speaker.begin(opened.tts_place, opened.tts)
        self._greeting: inputs.Greet | None = None
        if setup.first_message:
            self._greeting = inputs.Greet(setup.first_message, waits=_waits(setup))
            if not self._greeting.waits:
                self._greet()
        elif question is not None:
            self._take(inputs.UserMessage(question.text))

    def _make_parts(self, pipeline: Pipeline, setup: ConversationSetup) -> None:
        take, clock, work, report = self._take, self._clock, self._work, self._inbox.put
        self._speeches = Speeches(self._inbox, self._output_format)
        self._listener = Listener(
            pipeline.stt,
            self._format,
            setup.language,
            take=take,
            report=report,
            work=work,
            times=self._times,
            clock=clock,
        )
        self._speaker = Speaker(
            pipeline.tts,
            self._output_format,
            voice=setup.voice,
            language=setup.language,
            on_audio=self._speeches.audio,
            take=take,
            report=report,
            work=work,
            clock=clock,
        )
        answers = Answers(
            pipeline.llm, instructions=setup.system_prompt, tools=setup.tools, take=take, report=report, work=work
        )
        answers.prepare()
        self._actor = Actor(
            self._inbox,
            ear=self._ear,
            listener=self._listener,
            answers=answers,
            speaker=self._speaker,
            speeches=self._speeches,
            judge=Judge(pipeline.guardrails, take=take, report=report, work=work),
            detector=Detector(pipeline.turn_detector, self._listener.recent, take=take, work=work),
            take=take,
            fail=self._finish,
            clock=clock,
        )

    # --- what the call needs to know ---------------------------------------------------------------------------------

    @property
    def conversation_id(self) -> str:
        return ""

    @property
    def input_format(self) -> AudioFormat:
        return self._format

    @property
    def output_format(self) -> AudioFormat:
        return self._output_format

    @property
    def dropped(self) -> int:
        return self._listener.dropped

    def events(self) -> AsyncIterator[AudioChunk | EngineEvent]:
        return self._inbox

    # --- what the call says ------------------------------------------------------------------------------------------

    def send_audio(self, chunk: AudioChunk) -> None:
        if self._over:
            return
        if self._greeting is not None and self._playback.is_open:  # before, it is silence in place of a caller
            self._greet()
        self._ear.hear(chunk)
        self._listener.hear(chunk)

    def heard(self, heard: Heard) -> None:
        if not heard.turn.isdecimal():
            return
        heard_ms = max((item.heard_ms for item in heard.items), default=0.0)
        why = inputs.Ear.CUT if heard.interrupted else inputs.Ear.WHOLE
        self._take(inputs.PlayedBack(int(heard.turn), heard_ms, inputs.Ear.PAUSED if heard.paused else why))

    def speaking(self, turn: str) -> None:
        if turn.isdecimal() and not self._over:
            self._actor.speaking(int(turn))

    def send_tool_result(self, result: ToolResult) -> None:
        self._take(inputs.ToolAnswered(result.id, result.result, result.failed))

    def send_dtmf(self, digit: str) -> None:
        self._take(inputs.Key(digit))

    def add_context(self, text: str) -> None:
        self._take(inputs.Context(text))

    def send_user_message(self, text: str) -> None:
        self._take(inputs.UserMessage(text))

    def say(self, text: str) -> None:
        self._take(inputs.Say(text))

    def hold(self, on: bool) -> None:
        self._take(inputs.Hold() if on else inputs.Resume())

    def unbilled(self) -> Sequence[Usage]:
        return [*self._inbox.remove(Usage), *self._listener.unbilled(), *self._speaker.unbilled()]

    async def aclose(self) -> None:
        self._finish()
        sessions: list[Closing] = [*self._listener.close(), *self._speaker.close()]
        with anyio.CancelScope(shield=True):  # each step is bounded in time
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._work.end)
                for session in sessions:
                    tasks.start_soon(close, session)

    # --- steps -------------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        greeting, self._greeting = self._greeting, None
        if greeting is not None:
            self._take(greeting)

    def _take(self, given: inputs.Input) -> None:
        """Takes one input. What comes while another one is taken waits for its turn."""
        if self._over:
            return
        self._pending.append(given)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._pending and not self._over:
                self._step(self._pending.popleft())
            if not self._over:
                self._set_timer()
        except Exception as error:  # noqa: BLE001 - the boundary of a call: a bug here ends one session, and is logged
            self._crashed(error)
        finally:
            self._is_stepping = False

    def _step(self, given: inputs.Input) -> None:
        actor = self._actor
        actor.note(given)
        for output in self._turns.step(given, self._clock(), heard_until=self._times.newest()):
            actor.do(output)
        actor.noted(given)

    def _set_timer(self) -> None:
        due = self._turns.deadline()
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due < math.inf:
            self._timer = self._loop.call_later(max(0.0, due - self._clock()), self._time_passed)

    def _time_passed(self) -> None:
        self._timer, self._due = None, math.inf
        self._take(inputs.TimePassed())

    # --- the end -----------------------------------------------------------------------------------------------------

    def _crashed(self, error: Exception) -> None:
        _log.error("A conversation of a pipeline failed.", exc_info=error)
        self._finish(
            EngineLost(
                "The pipeline failed.",
                retry=True,
                got=type(error).__name__,
                remedy="This is a bug. Report it with the traceback in the log.",
            )
        )

    def _finish(self, error: EngineError | None = None) -> None:
        """Nothing follows: the user ended the session, or it failed. The first call counts."""
        if self._over:
            return
        self._over = True
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._inbox.close(error)


def _unanswered(setup: ConversationSetup, now_ms: float) -> UserSaid | None:
    """Returns what the session before did not answer: it was lost over it, and the caller waits."""
    last = setup.history[-1] if setup.history else None
    is_due = setup.resumed and not setup.first_message
    if is_due and isinstance(last, UserSaid) and now_ms - last.started_ms < _PATIENCE_MS:
        return last
    return None


def _waits(setup: ConversationSetup) -> bool:
    """True if the other side says hello first: they were called."""
    return setup.leg.direction is Direction.OUTBOUND and not setup.resumed


def _settings(pipeline: Pipeline, setup: ConversationSetup, opened: Opened) -> Settings:
    taking, stt = pipeline.turn_taking, pipeline.stt[opened.stt_place]
    reserves = {
        PartKind.STT: len(pipeline.stt) - opened.stt_place,
        PartKind.LLM: len(pipeline.llm),
        PartKind.TTS: len(pipeline.tts) - opened.tts_place,
    }
    return Settings(
        language=setup.language,
        stt_ends_turns=stt.ends_turns,
        stt_interims=stt.interims,
        final_p99=stt.final_p99,
        has_detector=pipeline.turn_detector is not None,
        judges_caller=judges_caller(pipeline.guardrails),
        judges_agent=judges_agent(pipeline.guardrails),
        reserves=frozenset(kind for kind, count in reserves.items() if count > 1),
        draft=taking.draft,
        fillers=taking.fillers,
        end=taking.end,
        end_likely=taking.end_likely,
        end_unlikely=taking.end_unlikely,
        barge_in=taking.barge_in,
        false_interruption=taking.false_interruption,
        hello=taking.hello,
    )
