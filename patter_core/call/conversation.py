"""The engine's side of a call: one session after the other, until the call is over or every agent has failed."""

from __future__ import annotations

import logging

import anyio

from patter_core.agent import Agent
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.call.context import CallContext
from patter_core.call.downlink import Downlink
from patter_core.call.fallback import FallbackChain
from patter_core.call.state import Signal, State
from patter_core.call.uplink import Uplink
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import EngineError, EngineTimeout
from patter_core.events import (
    CallEvent,
    ConversationStarted,
    EngineEvent,
    Error,
    Interruption,
    ResponseDone,
    TranscriptInput,
)
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["Conversation"]

_log = logging.getLogger("patter.call")

_CLOSE_TIMEOUT = 5.0
"""Seconds for the engine's session to close."""


class Conversation:
    """Opens sessions and plays what they say. It may start before the caller's audio is here.

    Args:
        call: what the parts of the call share.
        uplink: carries the caller's audio to the session.
        downlink: carries the agent's audio to the caller.
    """

    def __init__(self, call: CallContext, uplink: Uplink, downlink: Downlink) -> None:
        self.session: EngineSession | None = None
        """The present one, while it lasts."""
        self.ended: Signal | None = None
        """How it ended: ENGINE_ENDED or ENGINE_FAILED; None before."""
        self._call = call
        self._uplink = uplink
        self._downlink = downlink
        self._agents = FallbackChain(call.agent, call.token.options)
        self._history_known = anyio.Event()
        self._is_continued = False
        """True if there was a session on this call before, here or on another worker."""
        self._ready_by = 0.0
        """Until when the caller should hear an agent, all attempts together."""
        self._caller_format: AudioFormat | None = None
        self._dropped = 0
        self._scope: anyio.CancelScope | None = None

    @property
    def has_begun(self) -> bool:
        """True once the first session was opened, or is being opened."""
        return self._scope is not None

    @property
    def final_action(self) -> HangUp | Transfer:
        """What is done with the caller when every agent has failed."""
        return self._agents.final_action

    @property
    def dropped(self) -> int:
        """Frames of the caller that engines did not take in time."""
        return self._dropped + (0 if self.session is None else self.session.dropped)

    def begin(self, *, resumed: bool) -> None:
        """Opens the first session. Idempotent. `resumed`: another worker had the call before."""
        if self._scope is None:
            self._scope = anyio.CancelScope()
            self._is_continued = resumed
            self._call.tasks.start_soon(self._run, self._scope)

    def stop(self) -> None:
        """The caller hears no more of the agent."""
        if self._scope is not None:
            self._scope.cancel()

    def attach_caller(self, caller_format: AudioFormat | None = None) -> None:
        """The caller's audio is here, in that format if it is new: the session hears it."""
        self._caller_format = caller_format or self._caller_format
        self._uplink.unmute_caller()
        if self.session is not None and self._caller_format is not None:
            self._uplink.attach_engine(self.session, self._caller_format)

    # --- sessions --------------------------------------------------------------------------------------------------

    async def _run(self, scope: anyio.CancelScope) -> None:
        call = self._call
        with scope:
            if self._is_continued:
                call.tasks.start_soon(self._fetch_history)
            else:
                self._history_known.set()
            self._ready_by = call.clock() + call.config.deadlines.engine_connect
            while True:
                detail = ""
                try:
                    await self._run_session()
                except EngineError as error:
                    _log.error("Call %s: the conversation failed: %s", call.call_id, error)
                    call.meter.errors += 1
                    detail = str(error)
                    if self._agents.advance(retry=error.retry):
                        call.signal(Signal.ENGINE_RETRIED, detail)
                        continue
                    self.ended = Signal.ENGINE_FAILED
                else:
                    self.ended = Signal.ENGINE_ENDED
                await self._downlink.was_live.wait()  # until then there is no caller to hang up on
                call.signal(self.ended, detail)
                return

    async def _run_session(self) -> None:
        call = self._call
        session = await self._open()
        call.meter.engine_began(call.clock())
        try:
            self.session = session
            call.signal(Signal.ENGINE_READY)
            self._downlink.set_agent_format(session.output_format)
            if call.state.state is not State.HELD:  # `resume` does it
                self.attach_caller()
            if self._is_continued:
                call.tasks.start_soon(self._remind, session)
            self._is_continued = True
            await self._play(session)
        finally:
            self.session = None
            call.meter.engine_ended(call.clock())
            self._uplink.detach_engine()
            self._dropped += session.dropped
            self._ready_by = call.clock() + call.config.deadlines.engine_connect
            call.tasks.start_soon(_close, session)  # a session that is slow to close delays no other

    async def _open(self) -> EngineSession:
        """Opens a session within its share of the time; the last agent has until the state's deadline."""
        call, agent = self._call, self._agents.agent
        wished_at = call.clock()
        patience = None if self._agents.is_last else self._agents.share(max(0.0, self._ready_by - wished_at))
        setup = ConversationSetup(
            leg=call.leg,
            preferred_format=self._downlink.format,
            system_prompt=agent.system_prompt,
            first_message=(agent.resume_message if self._is_continued else "") or agent.first_message,
            variables=agent.variables,
        )
        try:
            with anyio.fail_after(patience):
                session = await agent.engine.open(setup)
        except TimeoutError:
            raise EngineTimeout(
                "The engine was not ready in time.",
                retry=True,
                expected="" if patience is None else f"a conversation within {patience:.1f} s",
            ) from None
        self._record_start(agent, session, (call.clock() - wished_at) * 1000)
        return session

    def _record_start(self, agent: Agent, session: EngineSession, connect_ms: float) -> None:
        meter = self._call.meter
        meter.engine_connect_ms = connect_ms
        meter.engine_input_format, meter.engine_output_format = session.input_format, session.output_format
        self._call.emit(
            ConversationStarted(
                engine=agent.engine.name,
                conversation_id=session.conversation_id,
                input_format=session.input_format,
                output_format=session.output_format,
                connect_ms=connect_ms,
            )
        )

    # --- what a session says ---------------------------------------------------------------------------------------

    async def _play(self, session: EngineSession) -> None:
        """Carries what the engine says, until its session is over.

        Raises:
            EngineError: it ended in another way than by the agent's wish.
        """
        downlink = self._downlink
        async for event in session.events():
            if type(event) is AudioChunk:
                await downlink.play(event)
            else:
                await self._handle(event)

    async def _handle(self, event: EngineEvent) -> None:
        match event:
            case Interruption():
                await self._downlink.barge_in()
            case ResponseDone():
                await self._downlink.end_turn()
            case TranscriptInput():
                self._call.meter.user_spoke(self._call.clock())
            case Error():
                self._call.meter.errors += 1
        if isinstance(event, CallEvent):
            self._call.emit(event)
        else:
            _log.debug("The engine sent an event that is not one of a call: %s", event.kind)

    # --- history ---------------------------------------------------------------------------------------------------

    async def _fetch_history(self) -> None:
        """Gets what was said before this worker had the call."""
        await self._call.records.fetch_history()
        self._history_known.set()

    async def _remind(self, session: EngineSession) -> None:
        """Gives an agent that continues a conversation its history."""
        await self._history_known.wait()
        text = self._call.records.history.text
        if text:
            session.add_context(text)


async def _close(session: EngineSession) -> None:
    with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
        await session.aclose()
