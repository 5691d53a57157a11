"""What an engine reports, other than audio: what is done with it, and whom it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable

from patter_core.agent import Agent
from patter_core.audio import AudioChunk
from patter_core.call.context import CallContext
from patter_core.call.derived_turns import DerivedTurns
from patter_core.call.downlink import Downlink
from patter_core.call.gated_turns import GatedTurns
from patter_core.call.output_watch import OutputWatch
from patter_core.call.reply_watch import ReplyWatch
from patter_core.call.steady_input import SteadyInput
from patter_core.call.tool_uses import ToolUses
from patter_core.call.transcripts import Transcripts
from patter_core.call.uplink import Uplink
from patter_core.engine import EngineCapability, EngineSession
from patter_core.events import (
    ActionRequested,
    CallEvent,
    EngineEvent,
    Error,
    Interruption,
    PausePlayback,
    ResponseDone,
    ResponseStart,
    SessionExpiring,
    SpeechItem,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCallsCancelled,
    ToolResult,
    TranscriptInput,
    TurnTimings,
    Usage,
)

__all__ = ["EngineEvents"]

_log = logging.getLogger("patter.call")


_UNWATCHED = frozenset({EngineCapability.OWN_DEADLINES, EngineCapability.CONTINUOUS_OUTPUT})
"""An engine with one of them knows itself when it does not answer, or may choose to say nothing."""


class EngineEvents:
    """Does what the events of a call's sessions ask for, and what an engine leaves to the core.

    Args:
        call: what the parts of the call share.
        uplink: carries the caller's audio to the engine.
        downlink: carries the agent's audio to the caller.
        tools: runs what the agent calls.
        on_frozen: called when the session no longer answers.
    """

    def __init__(
        self,
        call: CallContext,
        uplink: Uplink,
        downlink: Downlink,
        tools: ToolUses,
        *,
        on_frozen: Callable[[], None],
    ) -> None:
        self.play: Callable[[AudioChunk], None] | None = None
        """Takes a chunk of the present session; None: it goes straight to the downlink."""
        self.replies = ReplyWatch(call, downlink.playback, on_frozen)
        self.transcripts = Transcripts(call, uplink)
        self.on_event: Callable[[EngineEvent], None] = _ignore
        """Called with each event before it is taken."""
        self._on_frozen = on_frozen
        self._call = call
        self._uplink = uplink
        self._downlink = downlink
        self._tools = tools
        tools.on_use = self._note_use
        self._turns: DerivedTurns | GatedTurns | None = None
        self._output: OutputWatch | None = None
        """Of a session whose audio never stops: such a one may answer nothing."""
        self._steady: SteadyInput | None = None
        self._tells_speech = False
        """The session tells when the caller falls silent: an answer is due then, and transcripts may be late."""
        self._is_watched = True
        """An answer is due at all."""
        self._done = ""
        """The turn that was told to be complete last."""

    def begin(self, agent: Agent, session: EngineSession) -> None:
        """Another session talks from here on."""
        engine = agent.engine
        self._tells_speech = False
        self._done = ""
        self._is_watched = not engine.capabilities & _UNWATCHED
        self._tools.begin(agent, session)
        self._tools.last_word.session_began()
        self.transcripts.begin(engine, session)
        if EngineCapability.STEADY_INPUT in engine.capabilities:
            self._steady = SteadyInput(self._uplink, session)
            self._steady.start()
        if EngineCapability.CONTINUOUS_OUTPUT in engine.capabilities:
            gated = self._turns = GatedTurns(session.output_format, self._downlink, self._report_turn)
            self.play = gated.take
            self._output = OutputWatch(self._call, lambda: gated.chunks, self._on_frozen)
            self._output.start()
        elif EngineCapability.TURNS not in engine.capabilities:
            derived = self._turns = DerivedTurns(self._call, self._downlink, self._report_turn)
            self.play = derived.take

    def end(self) -> None:
        """The session is over."""
        self.replies.close()
        self._tools.end()
        self._tools.last_word.session_over()
        steady, turns, self._steady, self._turns, self.play = self._steady, self._turns, None, None, None
        output, self._output = self._output, None
        if output is not None:
            output.stop()
        if steady is not None:
            steady.stop()
        if turns is not None:
            turns.close()

    def take(self, event: EngineEvent) -> None:
        """Takes one event, in the order in which the engine gave it and the audio around it."""
        self._tells_speech = self._tells_speech or isinstance(event, SpeechStopped)
        if not isinstance(event, ToolCall):  # whose use is told once
            self.on_event(event)
        match event:
            case SpeechItem(item=item, turn=turn, offset_ms=offset_ms):
                self._downlink.begin_item(item, turn, offset_ms)
            case PausePlayback():
                self._downlink.pause()
            case SessionExpiring():
                pass
            case Interruption():
                self._interrupt(event)
            case ResponseStart() | ResponseDone():
                self._report_turn(event)
            case ToolCall() | ToolCallsCancelled() | ActionRequested():
                self._take_wish(event)
            case _:
                self._note(event)
                if isinstance(event, CallEvent):
                    self._call.emit(event)
                    self.transcripts.take(event)
                else:
                    _log.debug("The engine sent an event that is not one of a call: %s", event.kind)

    def _take_wish(self, event: ToolCall | ToolCallsCancelled | ActionRequested) -> None:
        match event:
            case ToolCall():
                self.replies.rest()
                self._tools.take(event)
            case ToolCallsCancelled(ids=ids):
                self._tools.cancel(ids)
            case ActionRequested(action=action):
                self._tools.last_word.request(action, answer_follows=False)

    def _interrupt(self, interruption: Interruption) -> None:
        self.replies.rest()
        self._tools.interrupted()
        self._tools.last_word.turn_ended()
        if self._turns is not None:
            self._turns.interrupted()
        self.transcripts.is_interruption = True
        try:
            is_heard = self._downlink.interrupt()
        finally:
            self.transcripts.is_interruption = False
        if is_heard:  # otherwise the caller heard nothing that could be interrupted
            self._call.emit(interruption)

    def _report_turn(self, event: ResponseStart | ResponseDone) -> None:
        if isinstance(event, ResponseStart):
            self._downlink.begin_turn(event.turn)
            self._tools.last_word.turn_began()
            self.transcripts.take(event)
        else:
            self._downlink.end_turn()
            self._tools.last_word.turn_ended()
            if event.turn and event.turn == self._done:  # it was paused after its end, and has gone on
                return
            self._done = event.turn
        self._call.emit(event)

    def _newest_at(self, now: float) -> float:
        """Returns when the session was given the newest audio: positions in its audio count from there."""
        return now if self._uplink.is_in_gap else self._call.state.heard_at

    def _note(self, event: EngineEvent) -> None:
        meter, now = self._call.meter, self._call.clock()
        match event:
            case SpeechStarted():
                self.replies.rest()
            case SpeechStopped(at_ms=at_ms):
                meter.speech_stopped(self._newest_at(now) - self._uplink.ago_ms(at_ms) / 1000)
                self._expect_reply()
            case TranscriptInput():
                meter.user_spoke(now, is_late=self._tells_speech)
                if not self._tells_speech:
                    self._expect_reply()
            case ToolResult():
                self._expect_reply()
            case Usage():
                meter.used(event)
            case TurnTimings():
                meter.timed(event)
            case Error():
                meter.errors += 1

    def _note_use(self, event: ToolCall | ToolResult) -> None:
        self.on_event(event)
        if isinstance(event, ToolResult):
            self._expect_reply()

    def _expect_reply(self) -> None:
        if self._is_watched and not self._tools.are_running:
            self.replies.expect()


def _ignore(_: EngineEvent) -> None:
    """Nothing else is done."""
