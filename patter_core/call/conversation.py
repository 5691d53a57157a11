"""The engine's side of a call: one session after the other, until the call is over or every agent has failed."""

from __future__ import annotations

import logging

import anyio

from patter_core.agent import Agent
from patter_core.aio.foreign import as_exception, run_behind, run_foreign
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.call.context import CallContext
from patter_core.call.continuation import Continuation, Opening
from patter_core.call.downlink import Downlink
from patter_core.call.engine_events import EngineEvents
from patter_core.call.engine_hold import EngineHold
from patter_core.call.engine_wall import as_engine_error, close_session, dropped_by
from patter_core.call.fallback import FallbackChain
from patter_core.call.idle_prompts import IdlePrompts
from patter_core.call.renewal import Renewal
from patter_core.call.session_opener import SessionOpener
from patter_core.call.state import Signal
from patter_core.call.tool_uses import ToolUses
from patter_core.call.turns import Turn, TurnHeard
from patter_core.call.uplink import Uplink
from patter_core.engine import Engine, EngineSession
from patter_core.errors import EngineError, EngineFrozen
from patter_core.events import Error, Interruption, ResponseDone, Usage
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["Conversation"]

_log = logging.getLogger("patter.call")


class Conversation:
    """Opens sessions and plays what they say. It may start before the caller's audio is here.

    Args:
        call: what the parts of the call share.
        uplink: carries the caller's audio to the session.
        downlink: carries the agent's audio to the caller.
        tools: runs what the agent calls.
    """

    def __init__(self, call: CallContext, uplink: Uplink, downlink: Downlink, tools: ToolUses) -> None:
        self.session: EngineSession | None = None
        """The present one, while it lasts."""
        self.ended: Signal | None = None
        """How it ended: ENGINE_ENDED or ENGINE_FAILED; None before."""
        self._detail = ""
        self._ready_at = 0.0
        """When the present session was ready; 0 before."""
        self._call = call
        self._uplink = uplink
        self._downlink = downlink
        self.idle_prompts = IdlePrompts(call, uplink, downlink)
        self._opener = SessionOpener(call, downlink)
        self._last_word = tools.last_word
        self._events = EngineEvents(call, uplink, downlink, tools, on_frozen=self._frozen)
        self._continuation = Continuation(call, uplink, downlink)
        self._events.transcripts.on_late = self._continuation.add
        self._renewal = Renewal(
            call,
            uplink,
            downlink,
            opener=self._opener,
            continuation=self._continuation,
            agent=lambda: self._agents.agent,
            on_due=self._hand_over,
            on_unused=self._bill_rest,
        )
        self._events.on_event = self._renewal.note
        self._agents = FallbackChain(call.agent, call.token.options)
        self._ready_by = 0.0
        """Until when the caller should hear an agent, all attempts together."""
        self._caller_format: AudioFormat | None = None
        self._dropped = 0
        self._scope: anyio.CancelScope | None = None
        self._session_scope = anyio.CancelScope()
        self._talking: EngineSession | None = None
        """Whose audio the caller hears: a session that was given up may not notice it at once."""
        self._fault: BaseException | None = None
        """What came out of the session while it was told something."""
        self._hold = EngineHold(call, uplink, downlink, lambda: (self.engine, self.session))
        self._errors = 0
        """Of the call, before the present session."""
        self._ended_on_hold = False
        """True if the present session ended while the caller was on hold."""
        self._was_frozen = False
        """True once a session was given up because it no longer answered."""
        uplink.on_fault = self._session_failed
        downlink.on_heard, downlink.on_speaking = self._tell_heard, self._tell_speaking

    @property
    def has_begun(self) -> bool:
        """True once the first session was opened, or is being opened."""
        return self._scope is not None

    @property
    def engine(self) -> Engine:
        """The present agent's."""
        return self._agents.agent.engine

    @property
    def may_prewarm(self) -> bool:
        """True if the first session was not opened, and may be before the caller's audio is here."""
        return not self.has_begun and self.engine.prewarm

    @property
    def minutes_left(self) -> float:
        """How many minutes of conversation are left to the call. What it lasted on other workers counts whole."""
        call = self._call
        used = call.meter.engine_ms(call.clock()) / 1000 + call.state.before
        return call.config.limits.engine_minutes - used / 60

    @property
    def final_action(self) -> HangUp | Transfer:
        """What is done with the caller when the call has failed."""
        return self._agents.final_action

    @property
    def dropped(self) -> int:
        """Frames of the caller that engines did not take in time."""
        return self._dropped + (0 if self.session is None else dropped_by(self.session))

    def begin(self, *, resumed: bool) -> None:
        """Opens the first session. Idempotent. `resumed`: another worker had the call before."""
        if self._scope is None:
            self._scope = anyio.CancelScope()
            self._continuation.begin(was_elsewhere=resumed)
            self._call.start(self._run, self._scope)

    def stop(self) -> None:
        """The caller hears no more of the agent."""
        self._talking = None
        if self._scope is not None:
            self._scope.cancel()

    def attach_caller(self, caller_format: AudioFormat | None = None) -> None:
        """The caller's audio is here, in that format if it is new: the session hears it."""
        self._caller_format = caller_format or self._caller_format
        if self.session is not None and self._caller_format is not None:
            try:
                self._uplink.attach_engine(self.session, self._caller_format)
            except BaseException as error:  # noqa: BLE001 - the plugin boundary
                self._session_failed(as_exception(error))

    # --- hold --------------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """The caller is on hold: neither side hears the other, and the end of a session ends no call."""
        self._events.replies.rest()
        self._hold.begin()

    def resume(self) -> None:
        """The hold is over. If the session ended meanwhile, another one is opened, with what was said before."""
        if self._hold.end():
            self.attach_caller()

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def _run(self, scope: anyio.CancelScope) -> None:
        call = self._call
        with scope:
            self._ready_by = call.clock() + call.config.deadlines.engine_connect
            while await self._go_on(await self._run_session()):
                pass
            await self._downlink.was_live.wait()  # until then there is no caller to hang up on
            if self.ended is not None and not self._last_word.is_awaited:
                call.signal(self.ended, self._detail)

    async def _go_on(self, error: EngineError | None) -> bool:
        """Decides what follows a session that ended so; True if it is another session, which may be opened now."""
        call = self._call
        worked_for = call.clock() - self._ready_at if self._ready_at else 0.0
        if self._last_word.is_awaited:  # it was the last word; what the agent asked for follows
            self.ended = Signal.ENGINE_ENDED
            return False
        if self._ended_on_hold:
            await self._hold.wait_until_over()
            self._ready_by = call.clock() + call.config.deadlines.engine_connect
            return True
        if isinstance(error, EngineFrozen) and not self._was_frozen:  # the first time costs no retry
            self._was_frozen = True
            self._open_again(error, self._agents.agent)
            return True
        if error is None:
            self.ended = Signal.ENGINE_ENDED
            return False
        within, failed = max(0.0, self._ready_by - call.clock()), self._agents.agent
        pause = self._agents.advance(
            retry=error.retry, retry_after=error.retry_after, worked_for=worked_for, within=within
        )
        if pause is None:
            self.ended, self._detail = Signal.ENGINE_FAILED, str(error)
            return False
        self._open_again(error, failed)
        await anyio.sleep(pause)
        return True

    def _open_again(self, error: EngineError, failed: Agent) -> None:
        """Another session follows the one that failed: the call's records tell, unless its engine has and is kept."""
        if self._call.meter.errors == self._errors + 1 or self._agents.agent.name != failed.name:
            self._call.emit(Error(message=self._agents.about_failure(error, failed)))
        self._call.signal(Signal.ENGINE_RETRIED, str(error))

    async def _run_session(self) -> EngineError | None:
        """Opens a session and plays what it says. Returns why it failed; None if the agent ended the conversation."""
        call = self._call
        self._ready_at = 0.0
        self._ended_on_hold = False
        self._errors = call.meter.errors
        try:
            agent, has_reserve = self._agents.agent, self._agents.has_reserve
            opening = await self._continuation.opening(agent)
            session = await self._opener.open(agent, opening, within=self._patience, has_reserve=has_reserve)
            self._ready_at = call.clock()
            failure = await self._talk(session, opening)
            while (successor := self._renewal.take(is_lost=failure is not None)) is not None:
                failure = await self._talk(successor.session, successor.opening)
            if failure is not None:
                raise failure
        except EngineError as error:
            _log.error("Call %s: %s", call.call_id, self._agents.about_failure(error, self._agents.agent))
            call.meter.errors += 1
            return error
        finally:
            self._renewal.stop()
        return None

    async def _talk(self, session: EngineSession, opening: Opening) -> EngineError | None:
        """Plays what a session says. Returns why it failed; None if it did not, or another one takes over."""
        try:
            with anyio.CancelScope() as self._session_scope:
                await self._converse(session, opening)
        except EngineError as error:
            return error
        fault, self._fault = self._fault, None
        return None if fault is None else as_engine_error(fault)

    def _patience(self) -> float | None:
        """Returns the share of the time that this attempt has; the last agent has until the state's deadline."""
        return None if self._agents.is_last else self._agents.share(max(0.0, self._ready_by - self._call.clock()))

    async def _converse(self, session: EngineSession, opening: Opening) -> None:
        call = self._call
        call.meter.engine_began(call.clock())
        is_whole = False
        try:
            self.session = session
            call.signal(Signal.ENGINE_READY)
            try:
                self._downlink.set_agent(session, session.output_format)
                self.attach_caller()
                self._events.begin(self._agents.agent, session)
                self.idle_prompts.begin(self._agents.agent, session)
            except BaseException as error:  # noqa: BLE001 - the plugin boundary
                raise as_engine_error(error) from None
            self._continuation.began(self.engine, session, opening)
            self._talking = session
            await run_foreign(self._play, None, session)
            is_whole = True
        finally:
            if not (is_whole or call.is_over) and self._talking is session:
                self._downlink.end_turn(is_broken_off=True)
            self.session = self._talking = None
            self._events.end()
            self.idle_prompts.end()
            self._continuation.ended()
            call.meter.engine_ended(call.clock())
            self._uplink.detach_engine()
            self._dropped += dropped_by(session)
            self._ready_by = call.clock() + call.config.deadlines.engine_connect
            run_behind(close_session, session)  # one that is slow to close delays neither another nor the end
            self._bill_rest(session)  # which is closed later: nothing has run behind yet

    def _hand_over(self) -> None:
        self._session_scope.cancel()

    def _frozen(self) -> None:
        within = f"audio within {self._call.config.deadlines.reply:g} s"
        self._session_failed(EngineFrozen("The engine no longer answers.", retry=True, expected=within))

    def _session_failed(self, error: BaseException) -> None:
        self._ended_on_hold = self._hold.is_on
        self._fault = self._fault or error
        self._session_scope.cancel()

    def _bill_rest(self, session: EngineSession) -> None:
        """Takes what the session has used and not told."""
        try:
            for usage in session.unbilled():
                if isinstance(usage, Usage):
                    self._events.take(usage)
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.error("The engine's plugin could not tell what was used last.", exc_info=as_exception(error))

    # --- what a session says -----------------------------------------------------------------------------------------

    async def _play(self, session: EngineSession) -> None:
        """Carries what the engine says, until its session is over. A task of its own, as the engine may never return.

        Raises:
            EngineError: it ended in another way than by the agent's wish.
        """
        downlink, events = self._downlink, self._events
        try:
            async for event in session.events():
                if self._talking is not session:
                    return
                try:
                    if type(event) is not AudioChunk:
                        events.take(event)
                    elif events.play is None:
                        downlink.play(event)
                    else:
                        events.play(event)
                except BaseException as error:  # noqa: BLE001 - the carrier's plugin, or ours: not the engine's fault
                    if not isinstance(event, AudioChunk | Interruption | ResponseDone):  # an event that makes no sense
                        raise as_engine_error(error) from None
                    self._call.crash(error)
                    return
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            raise as_engine_error(error) from None
        finally:
            if self._talking is session:
                self._ended_on_hold = self._hold.is_on

    def _tell_speaking(self, turn: Turn) -> None:
        """Tells a session that the carrier gets the first audio of its turn, if it is still the one that talks."""
        session = self.session
        if session is not None and turn.owner is session:
            try:
                session.speaking(turn.name)
            except BaseException as error:  # noqa: BLE001 - the plugin boundary
                self._session_failed(as_exception(error))

    def _tell_heard(self, told: TurnHeard) -> None:
        """Tells a session how much of its turn was heard, if it is still the one that talks."""
        session = self.session
        self._events.transcripts.heard(told)
        self._call.notice.turn_heard(told)
        if session is not None and told.owner is session:
            try:
                session.heard(told.heard)
            except BaseException as error:  # noqa: BLE001 - the plugin boundary
                self._session_failed(as_exception(error))
