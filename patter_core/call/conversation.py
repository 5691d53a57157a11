"""The engine's side of a call: one conversation after the other, until the call is over or nobody is left to talk."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import anyio.abc

from patter_core.agent import Agent, CallOptions
from patter_core.audio import AudioFormat
from patter_core.call.bridge import Bridge
from patter_core.call.fallback import FallbackChain
from patter_core.call.history import History, HistoryWriter
from patter_core.call.meter import Meter
from patter_core.call.state import Signal
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import EngineError, EngineTimeout
from patter_core.events import CallEvent, ConversationStarted
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp, Transfer

__all__ = ["Conversation"]

_log = logging.getLogger("patter.call")

_CLOSE_TIMEOUT = 5.0
"""Seconds for the engine's session to close."""


class Conversation:
    """Who talks with the caller. It may begin before the caller's audio is here: what the agent says then is kept.

    Args:
        call_id: Patter's own id.
        agent: who talks first.
        options: what was asked for this call.
        bridge: carries the audio.
        meter: counts.
        patience: seconds in which the caller should hear somebody, all attempts together.
        lines: keeps what is said for other workers.
        emit: tells the world.
        signal: moves the call.
        clock: monotonic, in s.
    """

    def __init__(
        self,
        *,
        call_id: str,
        agent: Agent,
        options: CallOptions,
        bridge: Bridge,
        meter: Meter,
        patience: float,
        lines: HistoryWriter,
        emit: Callable[[CallEvent], None],
        signal: Callable[[Signal, str], object],
        clock: Callable[[], float],
    ) -> None:
        self.session: EngineSession | None = None
        """The present one, while it lasts."""
        self._call_id = call_id
        self._succession = FallbackChain(agent, options)
        self._bridge = bridge
        self._meter = meter
        self._patience = patience
        self._lines = lines
        self._emit = emit
        self._signal = signal
        self._clock = clock
        self._recap = History()
        self._remembered = anyio.Event()
        self._goes_on = False
        """Has there been a conversation on this call, here or elsewhere?"""
        self._ready_by = 0.0
        """Until when the caller should hear somebody."""
        self._caller_format: AudioFormat | None = None
        self._dropped = 0
        self._scope: anyio.CancelScope | None = None

    @property
    def has_begun(self) -> bool:
        """Is, or was, there one?"""
        return self._scope is not None

    @property
    def verdict(self) -> HangUp | Transfer:
        """What becomes of the caller when nobody is left to talk."""
        return self._succession.verdict

    @property
    def dropped(self) -> int:
        """Caller's frames that engines did not take in time."""
        return self._dropped + (0 if self.session is None else self.session.dropped)

    def begin(self, tasks: anyio.abc.TaskGroup, leg: Leg, *, resumed: bool) -> None:
        """Open the first one, unless that was done before. `resumed`: another worker had the call before."""
        if self._scope is None:
            self._scope = anyio.CancelScope()
            self._goes_on = resumed
            tasks.start_soon(self._converse, tasks, leg, self._scope)

    def stop(self) -> None:
        """The caller is to hear no more."""
        if self._scope is not None:
            self._scope.cancel()

    def join(self, caller_format: AudioFormat | None = None) -> None:
        """The caller's audio is here, in that format if it is new: he and the agent hear each other."""
        self._caller_format = caller_format or self._caller_format
        if self.session is not None and self._caller_format is not None:
            self._bridge.join(self.session, self._caller_format)

    def note(self, event: CallEvent) -> None:
        """Keep what the event adds to what was said."""
        line = self._recap.note(event)
        if line is not None:
            self._lines.put(self._call_id, line)

    async def _converse(self, tasks: anyio.abc.TaskGroup, leg: Leg, scope: anyio.CancelScope) -> None:
        with scope:
            if self._goes_on:
                tasks.start_soon(self._remember)
            else:
                self._remembered.set()
            self._ready_by = self._clock() + self._patience
            while True:
                try:
                    await self._one(tasks, leg)
                except EngineError as error:
                    _log.error("Call %s: the conversation failed: %s", self._call_id, error)
                    self._meter.errors += 1
                    if self._succession.advance(retry=error.retry):
                        self._signal(Signal.ENGINE_RETRIED, str(error))
                        continue
                    await self._bridge.was_live.wait()  # there is nobody to be told before the audio has come
                    self._signal(Signal.ENGINE_FAILED, str(error))
                else:
                    await self._bridge.was_live.wait()  # an agent may end before the caller's audio has even come
                    self._signal(Signal.ENGINE_ENDED, "")
                return

    async def _one(self, tasks: anyio.abc.TaskGroup, leg: Leg) -> None:
        session = await self._open(leg)
        self._meter.engine_began(self._clock())
        try:
            self.session = session
            self._signal(Signal.ENGINE_READY, "")
            self._bridge.expect(session.output_format)
            self.join()
            if self._goes_on:
                tasks.start_soon(self._remind, session)
            self._goes_on = True
            await self._bridge.pump_agent(session)
        finally:
            self.session = None
            self._meter.engine_ended(self._clock())
            self._bridge.part()
            self._dropped += session.dropped
            self._ready_by = self._clock() + self._patience
            tasks.start_soon(_close, session)  # a peer that is slow to close holds up no other

    async def _open(self, leg: Leg) -> EngineSession:
        """Open the next one, as long as there is time for it; the last one has until the state's deadline."""
        agent, wished_at = self._succession.agent, self._clock()
        patience = None if self._succession.is_last else self._succession.share(max(0.0, self._ready_by - wished_at))
        setup = ConversationSetup(
            leg=leg,
            preferred_format=self._bridge.format,
            system_prompt=agent.system_prompt,
            first_message=(agent.resume_message if self._goes_on else "") or agent.first_message,
            variables=agent.variables,
        )
        try:
            with anyio.fail_after(patience):
                session = await agent.engine.open(setup)
        except TimeoutError:
            raise EngineTimeout(
                "The engine was not ready in time.", retry=True, expected=f"a conversation within {patience:.1f} s"
            ) from None
        self._note_start(agent, session, (self._clock() - wished_at) * 1000)
        return session

    def _note_start(self, agent: Agent, session: EngineSession, connect_ms: float) -> None:
        meter = self._meter
        meter.engine_connect_ms = connect_ms
        meter.engine_input_format, meter.engine_output_format = session.input_format, session.output_format
        self._emit(
            ConversationStarted(
                engine=agent.engine.name,
                conversation_id=session.conversation_id,
                input_format=session.input_format,
                output_format=session.output_format,
                connect_ms=connect_ms,
            )
        )

    async def _remember(self) -> None:
        """Find out what was said before this worker got the call."""
        self._recap.precede(await self._lines.history(self._call_id))
        self._remembered.set()

    async def _remind(self, session: EngineSession) -> None:
        """Tell an agent who goes on with the call what was said so far."""
        await self._remembered.wait()
        text = self._recap.text
        if text:
            session.add_context(text)


async def _close(session: EngineSession) -> None:
    with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
        await session.aclose()
