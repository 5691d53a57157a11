"""One call as a task: its state, its bridge, its conversation, its events, and the way out of all of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import anyio
import msgspec
from starlette.types import Receive, Send

from patter_core.agent import Agent, CallOptions
from patter_core.audio import AudioFormat
from patter_core.call.bridge import Bridge
from patter_core.call.capture import CapturingCodec
from patter_core.call.conversation import Conversation
from patter_core.call.hangup import end_leg, hand_over, may_be_on_another_worker, must_end_leg
from patter_core.call.history import HistoryWriter
from patter_core.call.media_socket import MediaSocket
from patter_core.call.meter import Meter
from patter_core.call.playback import Playback
from patter_core.call.state import CallState, Signal, State
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.engine import EngineSession
from patter_core.errors import CallError
from patter_core.events import (
    AudioCaptured,
    CallAnnounced,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallMetrics,
    CallProgressed,
    MachineDetected,
    MediaPaused,
    MediaStarted,
    MetricsReported,
    Record,
    RecordingStarted,
)
from patter_core.media import MediaCodec, MediaOpened
from patter_core.observe.metrics import CarrierBill
from patter_core.observe.trace import TraceContext
from patter_core.telephony.control import Capability
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import By, HangUp, Reason, Transfer
from patter_core.webhook import Accept

__all__ = ["Call"]

_log = logging.getLogger("patter.call")

_REPORT_EVERY = 30.0
"""Seconds between two reports of a live call's figures."""

_LOOK_UP_TIMEOUT = 5.0
"""Seconds for the carrier to say what became of a call."""
_MARK_MARGIN = 1.5
"""Seconds for the mark behind the last word, from when that should have been played."""
_SIGNAL_OF = {
    Progress.ANSWERED: Signal.ANSWERED,
    Progress.BUSY: Signal.BUSY,
    Progress.NO_ANSWER: Signal.NO_ANSWER,
    Progress.CANCELED: Signal.CANCELED,
    Progress.FAILED: Signal.DIAL_FAILED,
    Progress.COMPLETED: Signal.CARRIER_HUNG_UP,
}
_PROGRESS_OF = {
    Reason.BUSY: Progress.BUSY,
    Reason.NO_ANSWER: Progress.NO_ANSWER,
    Reason.CANCELED: Progress.CANCELED,
    Reason.DIAL_FAILED: Progress.FAILED,
}
_ENGINE_FAILED = frozenset({Reason.ENGINE_FAILED, Reason.ENGINE_SLOW})


class Call:
    """One call. Made when the carrier announces it, or has taken our wish to dial; `run` lasts until it is over.

    Args:
        call_id: Patter's own id.
        leg: the call at the carrier.
        publish: takes each record; never waits.
        publish_audio: takes each record with audio, if there is anybody who wants audio; never waits.
        recordings: who records the call, and where to.
        report_every: seconds between two reports of the figures.
        options: what was asked for this call.
        ring_timeout: in s, for a call that we make and that nobody has answered yet.
        streams_lost: how many media streams other workers have lost before this one got the call.
        lines: keeps what is said for other workers.
        prewarm: may the conversation begin now, before the caller's audio is here?
        shared: may the caller's audio come to another worker?
        clock: monotonic, in s.
    """

    def __init__(
        self,
        *,
        call_id: str,
        leg: Leg,
        agent: Agent,
        carrier: Carrier,
        deadlines: Deadlines,
        publish: Callable[[Record], None],
        publish_audio: Callable[[Record], None] | None = None,
        recordings: Sequence[tuple[str, str]] = (),
        report_every: float = _REPORT_EVERY,
        options: CallOptions | None = None,
        ring_timeout: float | None = None,
        streams_lost: int = 0,
        lines: HistoryWriter | None = None,
        prewarm: Callable[[], bool] = lambda: False,
        shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.call_id = call_id
        self.trace = TraceContext.of_call(call_id)
        self._traceparent = self.trace.traceparent
        self.leg = leg
        self.options = options or CallOptions()
        self.agent = agent.on(self.options)
        self.carrier = carrier
        self.deadlines = deadlines
        self.playback = Playback()
        self.progress = Progress.RINGING if ring_timeout is None else Progress.DIALLING
        self.answered_by: AnsweredBy | None = None
        self.ended: CallEnded | None = None
        self.answered = anyio.Event()
        """Set once it is answered, or over."""
        self.sequence = 0
        """Of the last record."""
        self.announced_at = clock()
        self._publish = publish
        self._clock = clock
        self._state = CallState(deadlines, self.announced_at, ring_timeout=ring_timeout)
        self._publish_audio = publish_audio
        self._recordings = recordings
        self._report_every = report_every
        self._meter = Meter()
        self._meter.announced_at = self.announced_at
        self._codec = self._new_codec()
        self.bridge = Bridge(
            codec=self._codec,
            state=self._state,
            meter=self._meter,
            playback=self.playback,
            emit=self.emit,
            signal=self.signal,
            on_opened=self._media_opened,
            clock=clock,
        )
        self.socket: MediaSocket | None = None
        self.admission: Accept | None = None
        """What the carrier was told last."""
        self.streams_lost = streams_lost
        self._prewarm = prewarm
        self._shared = shared
        self.recording_id = ""
        self.was_answered = False
        self._conversation = Conversation(
            call_id=call_id,
            agent=agent,
            options=self.options,
            bridge=self.bridge,
            meter=self._meter,
            patience=deadlines.engine_connect,
            lines=lines or HistoryWriter(None),
            emit=self.emit,
            signal=self.signal,
            clock=clock,
        )
        self._leg_over = False
        self._parting: HangUp | Transfer = HangUp()
        self._loop = asyncio.get_running_loop()
        self._tasks = anyio.create_task_group()
        self._moved = anyio.Event()
        self._quiet = anyio.Event()
        self._done = anyio.Event()
        self.emit(CallAnnounced(leg=leg, agent=agent.name))

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self._state.state.value}>"

    @property
    def state(self) -> State:
        """Where the call is."""
        return self._state.state

    @property
    def session(self) -> EngineSession | None:
        """The conversation, while it lasts."""
        return self._conversation.session

    @property
    def is_ahead(self) -> bool:
        """Has the conversation begun, and the caller's audio not come yet?"""
        return self._conversation.has_begun and not self.had_media

    @property
    def had_media(self) -> bool:
        """Has the caller's audio ever been here?"""
        return self._state.media_at is not None

    @property
    def is_over(self) -> bool:
        """Is it over, but for the clearing up?"""
        return self._state.state is State.ENDED

    @property
    def verdict(self) -> HangUp | Transfer:
        """What becomes of the caller at the end: what the agent's fallback says, if the engine failed; or the host."""
        if self._state.reason not in _ENGINE_FAILED:
            return self._parting if self._state.reason is Reason.HOST_HUNG_UP else HangUp()
        return self._conversation.verdict

    def metrics(self) -> CallMetrics:
        """The figures so far."""
        meter, playback, now = self._meter, self.playback, self._clock()
        return meter.metrics(
            now,
            heard_ms=playback.heard_ms,
            frames_dropped=self._conversation.dropped,
            frames_late=playback.late,
            carrier_bill=CarrierBill.of(meter.usage(now, self.leg.direction), self.carrier.rates),
        )

    async def wait(self) -> CallEnded:
        """Wait for the end."""
        await self._done.wait()
        assert self.ended is not None  # _free() sees to it
        return self.ended

    # --- what is said of it ----------------------------------------------------------------------------------------

    def hang_up(self, parting: HangUp | Transfer | None = None) -> None:
        """End the call once the caller has heard what is already on its way. Again and at any time.

        `parting` is what becomes of the caller then, if nothing has ended the call before.
        """
        if parting is not None:
            self._parting = parting
        self.signal(Signal.HANG_UP)

    def in_its_loop(self, function: Callable[..., object], *args: object) -> None:
        """Call that at once, or soon if this is another thread than the call's own: callbacks may run in one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._loop.call_soon_threadsafe(function, *args)
        else:
            function(*args)

    def note_progress(self, progress: Progress) -> None:
        """The carrier says how far the call has come."""
        if self._state.state is State.ENDED:
            return
        if progress.is_final:
            self._leg_over = True
        elif progress is Progress.RINGING and self.progress is Progress.DIALLING:
            self._progressed(progress)
        elif progress is Progress.ANSWERED:
            self._is_answered()
        signal = _SIGNAL_OF.get(progress)
        if progress.is_final and self.was_answered:  # whatever the carrier calls it, the call is over
            signal = Signal.CARRIER_HUNG_UP
        if signal is not None:
            self.signal(signal)

    def note_answered_by(self, who: AnsweredBy) -> None:
        """The carrier says who answered. A machine that listens gets the message that this call has for it."""
        if self._state.state is State.ENDED or who is self.answered_by:
            return
        self.answered_by = who
        self.emit(MachineDetected(answered_by=who))
        if who is AnsweredBy.MACHINE_READY and self.options.voicemail_message:
            self._tasks.start_soon(self._leave_voicemail)

    def media_over(self) -> None:
        """The carrier says that the media stream is over; it need not be noticed on its socket yet."""
        if self.socket is not None:
            self.socket.scope.cancel()
        self.bridge.detach()
        self.signal(Signal.MEDIA_LOST)

    def give_up_media(self) -> None:
        """The carrier will not bring the media again."""
        self.media_over()
        self.signal(Signal.MEDIA_TIMEOUT)

    def _is_answered(self) -> None:
        if self.answered.is_set():
            return
        self.was_answered = True
        self.answered.set()
        if self.leg.direction is Direction.OUTBOUND:
            self._progressed(Progress.ANSWERED)
        self.progress = Progress.ANSWERED
        self._meter.answered_at = now = self._clock()
        self.emit(CallAnswered(answer_ms=(now - self.announced_at) * 1000))

    def _progressed(self, progress: Progress) -> None:
        self.progress = progress
        self.emit(CallProgressed(progress=progress))

    # --- media -----------------------------------------------------------------------------------------------------

    async def serve_media(self, receive: Receive, send: Send) -> None:
        """Use this accepted media socket for the call; returns when it or the call is over.

        Raises:
            CallError: the call has a socket already, or is over.
        """
        if self.socket is not None or self._state.state is State.ENDED:
            raise CallError("This call takes no media socket.", expected="one socket at a time, while the call lasts")
        socket = self.socket = MediaSocket(send, anyio.CancelScope())
        self._codec = self._new_codec()
        self.bridge.attach(self._codec, send)
        try:
            with socket.scope:
                await self.bridge.pump_caller(receive)
        except Exception:  # noqa: BLE001 - the call boundary, on the server's task: it ends this call and no other
            self._crashed()
        finally:  # the server may have cancelled us: then the socket is gone
            if self.socket is socket:
                self.socket = None
                if not self.is_over:
                    self.bridge.detach()
                    self.signal(Signal.MEDIA_LOST)
            with anyio.CancelScope(shield=True):
                await socket.close()
        if self.is_over:
            await self._done.wait()

    def _media_opened(self, opened: MediaOpened) -> None:
        socket = self.socket
        if socket is None or socket.opened or self.is_over:
            return
        if opened.call_id != self.leg.call_id:
            _log.warning("Call %s: the media socket is for another call; it is closed.", self.call_id)
            socket.scope.cancel()
            return
        socket.opened = True
        if not self.leg.parameters:  # another worker's webhook had them
            self.leg = msgspec.structs.replace(self.leg, parameters=opened.parameters)
        self._meter.carrier_format = opened.format
        is_first = self._state.media_at is None
        self._is_answered()
        self.signal(Signal.MEDIA_STARTED)
        self._meter.media_at = self._state.media_at
        self.emit(MediaStarted(format=opened.format))
        if is_first:
            for name, location in self._recordings:
                self.emit(RecordingStarted(by=name, location=location))
            self._tasks.start_soon(self._report)
        self.converse()
        self.join_media(opened.format)

    def converse(self) -> None:
        """Begin the conversation, unless that was done before: the caller's audio is here, or will be soon."""
        self._conversation.begin(self._tasks, self.leg, resumed=self.streams_lost > 0)

    def join_media(self, caller_format: AudioFormat | None = None) -> None:
        """The stream is open, or is used again: whoever talks is heard."""
        self._conversation.join(caller_format)
        if self.bridge.open():
            self._tasks.start_soon(self.bridge.catch_up)

    def _new_codec(self) -> MediaCodec:
        codec = self.carrier.media_codec(self.leg)
        return codec if self._publish_audio is None else CapturingCodec(codec, self._captured)

    async def _report(self) -> None:
        while True:
            await anyio.sleep(self._report_every)
            self.emit(MetricsReported(metrics=self.metrics()))

    # --- its life --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live through the call. Never raises, but for cancellation, which ends the call first."""
        try:
            async with self._tasks:
                await self._watch_deadlines()
        except Exception:  # noqa: BLE001 - the call boundary: a fault in here ends this call and no other
            self._crashed()
        finally:
            if self._state.state is not State.ENDED:  # cancelled: the worker stops
                self.signal(Signal.CRASHED, "the worker stopped")
            with anyio.CancelScope(shield=True):
                await self._free()

    def _crashed(self) -> None:
        _log.exception("Call %s crashed.", self.call_id)
        self.signal(Signal.CRASHED, "a fault inside Patter or a plugin; the log has its traceback")

    async def _watch_deadlines(self) -> None:
        while self._state.state is not State.ENDED:
            if self._state.state is State.ACCEPTED and not self._conversation.has_begun and self._prewarm():
                self.converse()
            with anyio.move_on_after(self._state.deadline() - self._clock()):
                await self._moved.wait()
                self._moved = anyio.Event()
            if self._may_be_answered_elsewhere() and self._clock() >= self._state.deadline():
                await self._ask_the_carrier()
            if self._state.expire(self._clock()):
                self._after_move()

    def _may_be_answered_elsewhere(self) -> bool:
        is_waiting = self._state.state is State.ACCEPTED and self._shared and not self.had_media
        return self._state.state is State.DIALLING or is_waiting

    async def _ask_the_carrier(self) -> None:
        """No webhook has told what became of the call: another worker may have got it."""
        if Capability.LOOK_UP not in self.carrier.capabilities:
            return
        try:
            with anyio.fail_after(_LOOK_UP_TIMEOUT):
                facts = await self.carrier.look_up(self.leg)
        except Exception:  # noqa: BLE001 - the plugin boundary: not knowing is what we knew before
            _log.exception("Call %s: the carrier does not say what became of it.", self.call_id)
            return
        if facts.progress in {Progress.ANSWERED, Progress.COMPLETED}:
            self.signal(Signal.ANSWERED_ELSEWHERE)
        else:
            self.note_progress(facts.progress)

    def signal(self, signal: Signal, detail: str = "") -> bool:
        """Move the call as the table says. True if it is in another state now."""
        if signal is Signal.PLAYED_OUT:
            self._quiet.set()
        if not self._state.signal(signal, self._clock(), detail=detail):
            return False
        if signal is Signal.MEDIA_LOST and self._state.state is not State.ENDED:
            self.emit(MediaPaused())
        self._after_move()
        return True

    def _after_move(self) -> None:
        self._moved.set()
        match self._state.state:
            case State.ENDING:
                self._conversation.stop()
                self._tasks.start_soon(self._hear_out)
            case State.ENDED:
                self._tasks.cancel_scope.cancel()
            case _:
                pass

    async def _hear_out(self) -> None:
        """Wait for the last word; a carrier that never says that it was played is given the time that it takes."""
        await self.bridge.last_word()
        await anyio.sleep(max(0.0, self.playback.ends_at - self._clock()) + _MARK_MARGIN)
        self.signal(Signal.PLAYED_OUT)

    async def played_out(self) -> None:
        """Wait until the caller has heard what was said so far, or has had the time for it."""
        self._quiet = anyio.Event()
        await self.bridge.last_word()
        with anyio.move_on_after(self.deadlines.last_word):
            await self._quiet.wait()

    async def _leave_voicemail(self) -> None:
        if not self.signal(Signal.TRANSFER):
            return
        self._conversation.stop()
        try:
            await self.bridge.hush()
            await self.carrier.say_and_hang_up(self.leg, self.options.voicemail_message)
        except Exception:  # noqa: BLE001 - the plugin boundary: the call is hung up instead
            _log.exception("Call %s: the carrier would not leave the message.", self.call_id)
            self.signal(Signal.CRASHED, "the message for the machine could not be left")
        else:
            self.signal(Signal.VOICEMAIL)

    def back_to_life(self) -> None:
        """The carrier would not take the call away, and meanwhile time went on."""
        self.signal(Signal.TRANSFER_REFUSED)
        if self.socket is None:
            self.signal(Signal.MEDIA_LOST)
        if self.session is None:
            self.signal(Signal.ENGINE_ENDED)

    # --- how it ends -----------------------------------------------------------------------------------------------

    async def _free(self) -> None:
        """See to it that the leg is over, close the media socket, and tell the end: exactly once.

        In that order: a carrier that finds the socket closed first asks what is next, perhaps another worker.
        """
        try:
            if (
                self.leg.call_id
                and not self._leg_over
                and must_end_leg(self._state.reason, self.carrier, shared=self._shared)
            ):
                await end_leg(self.call_id, self.leg, self.carrier, self.verdict, self.emit)
            socket = self.socket
            if socket is not None:
                await socket.close()
                socket.scope.cancel()
        finally:
            self._emit_end()
            self.answered.set()
            self._done.set()

    @property
    def may_be_on_another_worker(self) -> bool:
        """Over for this worker, but the carrier may have brought the call to another one."""
        return not self._leg_over and may_be_on_another_worker(self._state.reason, self.carrier, shared=self._shared)

    async def hand_over(self, handover: Transfer) -> None:
        """Have the carrier give the call to another number, and tell how that went; raises as the carrier does."""
        await hand_over(self.leg, self.carrier, handover, self.emit)

    def _emit_end(self) -> None:
        metrics = self.metrics()
        state = self._state
        self.progress = _PROGRESS_OF.get(state.reason or Reason.CRASHED, Progress.COMPLETED)
        if self.progress is Progress.COMPLETED and not self.was_answered:
            self.progress = Progress.CANCELED
        self.ended = CallEnded(
            reason=state.reason or Reason.CRASHED,
            by=state.by or By.HOST,
            duration_ms=metrics.duration_ms,
            metrics=metrics,
            detail=state.detail,
        )
        if state.reason is not Reason.ANSWERED_ELSEWHERE:  # that worker tells the end
            self.emit(self.ended)

    # --- events ----------------------------------------------------------------------------------------------------

    def emit(self, event: CallEvent) -> None:
        """Tell the world."""
        self.sequence += 1
        self._conversation.note(event)
        self._publish(self._record(self.sequence, event))

    def _captured(self, audio: AudioCaptured) -> None:
        assert self._publish_audio is not None  # there is no tap without it
        self._publish_audio(self._record(0, audio))

    def _record(self, sequence: int, event: CallEvent) -> Record:
        return Record(
            call_id=self.call_id,
            sequence=sequence,
            time=time.time(),
            elapsed_ms=(self._clock() - self.announced_at) * 1000,
            event=event,
            trace=self._traceparent,
        )
