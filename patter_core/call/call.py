"""One call as a task, from its arrival to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import msgspec

from patter_core.agent import Agent
from patter_core.aio.event import Event
from patter_core.aio.foreign import run_behind
from patter_core.call.actions import Actions
from patter_core.call.carrier_wall import carrier_bill
from patter_core.call.config import HostConfig
from patter_core.call.consult import Consultation
from patter_core.call.context import CallContext
from patter_core.call.conversation import Conversation
from patter_core.call.destinations import Destinations
from patter_core.call.ending import Ending
from patter_core.call.engine_breakers import EngineBreakers
from patter_core.call.hangup import LegEnd
from patter_core.call.last_word import LastWord
from patter_core.call.media_leg import MediaLeg
from patter_core.call.metric_reports import MetricReports
from patter_core.call.notice import patient
from patter_core.call.records import Outlets, Records
from patter_core.call.reports import CarrierReports
from patter_core.call.state import CallState, Signal, State
from patter_core.call.token import CallToken
from patter_core.call.tool_uses import ToolUses
from patter_core.call.watch import CallWatch
from patter_core.carrier import Carrier
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallMetrics,
    CallMoved,
    MediaStarted,
)
from patter_core.media import MediaOpened
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import By, HangUp, Reason, Transfer
from patter_core.transport import Connection
from patter_core.webhook import Accept

__all__ = ["Call"]


class Call:
    """One call. Made when the carrier reports it, or has taken our request to dial; `run` lasts until it is over.

    Args:
        token: identifies the call, here and on other workers.
        leg: the call at the carrier.
        agent: who talks first.
        carrier: whose call it is.
        config: the settings of the worker.
        outlets: where its records go.
        breakers: of the worker's engines.
        destinations: where the worker's calls may lead.
        new_accept: makes the `Accept` by which the carrier brings the call's media.
        may_prewarm: returns True if the conversation may start before the caller's audio is here.
        ring_timeout: s, for an outbound call that was not answered yet; None for any other.
        was_announced: True if another worker has told of the call before.
        clock: monotonic, in s.
    """

    def __init__(
        self,
        token: CallToken,
        *,
        leg: Leg,
        agent: Agent,
        carrier: Carrier,
        config: HostConfig,
        outlets: Outlets,
        breakers: EngineBreakers,
        destinations: Destinations,
        new_accept: Callable[[CallToken], Accept],
        may_prewarm: Callable[[], bool] = lambda: False,
        ring_timeout: float | None = None,
        was_announced: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ended: CallEnded | None = None
        self.context = call = CallContext(
            token,
            leg=leg,
            agent=agent.on(token.options),
            carrier=carrier,
            config=config,
            state=CallState(patient(config.deadlines, agent, carrier), clock(), ring_timeout=ring_timeout),
            records=Records(token.call_id, outlets, clock, before=token.age(time.time())),
            breakers=breakers,
            destinations=destinations,
            new_accept=new_accept,
            clock=clock,
        )
        call.on_move = self._after_move
        call.meter.announced_at = call.records.began_at
        self._media = MediaLeg(call, on_opened=self._media_opened)
        uplink, downlink = self._media.uplink, self._media.downlink
        self.tools = ToolUses(call, uplink, LastWord(call, downlink))
        self.tools.last_word.act = self._end_for_agent
        self._conversation = Conversation(call, uplink, downlink, self.tools)
        self._conversation.idle_prompts.on_no_answer = self._caller_is_silent
        self._ending = Ending(call, self._media)
        self.actions = Actions(call, self._media, self._conversation)
        self.consultation = Consultation(call, self.actions)
        self.reports = CarrierReports(call, self.actions, is_dialled=ring_timeout is not None)
        self._watch = CallWatch(call, self._media, self._conversation, self.reports, may_prewarm=may_prewarm)
        self._final_action: HangUp | Transfer = HangUp()
        self._last_action = HangUp()
        self._begun, self._done = Event(), Event()
        self._metric_reports = MetricReports(call, self.metrics)
        announced = msgspec.structs.replace(leg, webhooks="")
        call.emit(CallAnnounced(leg=announced, agent=agent.name, resumed=was_announced or call.was_elsewhere))

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.state.value}>"

    @property
    def call_id(self) -> str:
        """Patter's own id."""
        return self.context.call_id

    @property
    def leg(self) -> Leg:
        """The call at the carrier."""
        return self.context.leg

    @property
    def state(self) -> State:
        """Where the call is."""
        return self.context.state.state

    @property
    def is_over(self) -> bool:
        """True once the call is over, except for the clean-up."""
        return self.context.is_over

    @property
    def leg_end(self) -> LegEnd | None:
        """What came of ending the leg; None if that was not our part."""
        return self._ending.leg_end

    @property
    def had_media(self) -> bool:
        """True once the caller's audio was here."""
        return self._media.was_here

    @property
    def is_prewarmed(self) -> bool:
        """True while there is a conversation and the caller's audio is not here yet."""
        return self._conversation.has_begun and not self.had_media

    @property
    def final_action(self) -> HangUp | Transfer:
        """What is done with the caller at the end: by the agent's fallback if something failed, else by the host."""
        if self.context.has_failed:
            return self._conversation.final_action
        match self.context.state.reason:
            case Reason.HOST_HUNG_UP:
                return self._final_action
            case Reason.AGENT_HUNG_UP:
                return self._last_action
            case Reason.TOO_LONG if self._conversation.minutes_left <= 0:
                return self.context.config.limits.after_minutes
            case _:
                return HangUp()

    def metrics(self) -> CallMetrics:
        """Returns the metrics so far."""
        call = self.context
        meter, playback, now = call.meter, self._media.downlink.playback, call.clock()
        return meter.metrics(
            now,
            heard_ms=playback.heard_ms(now),
            frames_dropped=self._conversation.dropped,
            frames_late=playback.late,
            carrier_bill=carrier_bill(call.carrier, meter.usage(now, call.leg.direction)),
        )

    async def wait(self) -> CallEnded:
        """Waits for the end."""
        await self._done.wait()
        assert self.ended is not None  # _clean_up() sees to it
        return self.ended

    # --- what the host and the carrier ask -------------------------------------------------------------------------

    def hang_up(self, final_action: HangUp | Transfer | None = None, *, now: bool = False, detail: str = "") -> None:
        """Ends the call once the caller has heard what is already on its way. Idempotent.

        Args:
            final_action: what is done with the caller then, unless something else ended the call before.
            now: at once, whatever there is to be heard.
            detail: why, for those who read of the call's end.
        """
        if final_action is not None:
            self._final_action = final_action
        self.context.signal(Signal.HANG_UP, detail)
        if now:
            self.context.signal(Signal.PLAYED_OUT)

    async def _end_for_agent(self, action: HangUp | Transfer) -> None:
        """Carries out what a tool or the agent asked for, now."""
        if isinstance(action, Transfer):
            await self.actions.transfer_for_agent(action)
            return
        self._last_action = action
        if self.state is State.LIVE:
            self.context.signal(Signal.ENGINE_ENDED)
        self.hang_up(now=True)

    def _caller_is_silent(self) -> None:
        self.context.signal(Signal.HANG_UP, "the caller did not answer the agent's idle messages")

    def stream_ended(self, token: CallToken | None) -> Accept | HangUp | Transfer:
        """The carrier reports that the media stream is over, which may not be noticed on its socket yet.

        Args:
            token: the call as the carrier's request knows it: another worker may have had it meanwhile.

        Returns:
            What the carrier does now: it brings the audio again, or the call is over.
        """
        call = self.context
        lasted = self._media.count_end()
        self._media.drop()
        if token is not None and token.streams > call.token.streams:
            call.token = msgspec.structs.replace(call.token, streams=token.streams, losses=token.losses)
        following = call.token.after_loss(call.config.limits, lasted=lasted)
        if following is None:
            call.signal(Signal.MEDIA_TIMEOUT)
        if following is None or self.is_over:
            return self.final_action
        call.token = following
        self._media.tell_pause()
        return call.renew_accept()

    def keys_pressed(self, digits: str) -> None:
        """The carrier reports keys by webhook."""
        for digit in digits:
            self._media.keys.pressed(digit)

    # --- media -----------------------------------------------------------------------------------------------------

    async def serve_media(self, connection: Connection) -> None:
        """Uses this accepted media socket for the call; returns when it, or the call, is over.

        Raises:
            CallError: the call has a socket, or is over.
        """
        await self._begun.wait()  # the socket may bring its first message along with the call
        handler = self._media.connection()
        try:
            await connection.serve(handler)
        except BaseException as error:  # noqa: BLE001 - the call boundary, on the server's task
            self.context.crash(error)
        if self.is_over:
            await self._done.wait()

    def _media_opened(self, opened: MediaOpened) -> None:
        call = self.context
        is_first = not self.had_media
        self.reports.note_answer(is_here=True)
        if self.state is State.HELD:  # the carrier has ended the hold
            self._conversation.resume()
        call.was_held = False
        call.signal(Signal.MEDIA_STARTED)
        conversation = self._conversation
        if self.state is State.LIVE and conversation.session is None and conversation.ended is None:  # as after a hold
            call.signal(Signal.ENGINE_RETRIED)
        call.note_media()
        call.emit(MediaStarted(format=opened.format))
        if is_first:
            call.notice.media_opened()
            self._metric_reports.begin()
        self._conversation.begin(resumed=call.token.streams > 0)
        self._conversation.attach_caller(opened.format)
        self._media.play()

    # --- life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Runs the call until it is over. Never raises, except for cancellation, which ends the call first."""
        call = self.context
        try:
            async with call.tasks:
                self._begun.set()
                await self._watch.run()
        except BaseException as error:  # noqa: BLE001 - the call boundary: a fault in here ends this call and no other
            call.crash(error)
        finally:
            self._begun.set()  # it may have been cancelled before
            self._metric_reports.end()
            if not self.is_over:  # cancelled: the worker stops
                call.signal(Signal.CRASHED, "the worker stopped")
            with anyio.CancelScope(shield=True):
                await self._clean_up()
            run_behind(self.tools.aclose)

    def _after_move(self) -> None:
        match self.state:
            case State.ENDING:
                self._conversation.stop()
                self._media.downlink.mark_last_word()
            case State.ENDED:
                self._media.downlink.cut_off()
                self.context.tasks.cancel_scope.cancel()
            case _:
                pass

    # --- end -------------------------------------------------------------------------------------------------------

    async def _clean_up(self) -> None:
        await self._ending.ask_others()
        reason = self.context.state.reason or Reason.CRASHED
        try:
            self.reports.note_end(reason)
            await self._ending.end(self.final_action)
        finally:
            try:
                self._record_end(reason)
            finally:
                self._done.set()

    async def end_leg(self) -> LegEnd:
        """Ends the leg at the carrier, once more. Never raises."""
        return await self._ending.end_leg(self.final_action)

    @property
    def may_be_on_another_worker(self) -> bool:
        """True if the call is over here, but another worker may have it, now or soon."""
        return self._ending.may_be_on_another_worker

    def _record_end(self, reason: Reason) -> None:
        state = self.context.state
        metrics = self.metrics()
        self.ended = CallEnded(
            reason=reason,
            by=state.by or By.HOST,
            duration_ms=metrics.duration_ms,
            metrics=metrics,
            detail=state.detail,
        )
        self.context.emit(CallMoved() if reason is Reason.MOVED else self.ended)
