"""One call as a task: its state, its bridge, its conversation, its events, and the way out of all of them."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence

import anyio
from starlette.types import Receive, Send

from patter_core.agent import Agent
from patter_core.audio import AudioFormat
from patter_core.call.bridge import Bridge, Converter
from patter_core.call.metrics import Meter
from patter_core.call.playback import Playback
from patter_core.call.state import By, CallState, Deadlines, Reason, Signal, State
from patter_core.call.tap import TappedCodec
from patter_core.carrier import Carrier, MediaOpened
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import CallError, EngineError
from patter_core.events import (
    AudioCaptured,
    CallAnnounced,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallMetrics,
    ConversationStarted,
    MediaStarted,
    MetricsReported,
    Record,
    RecordingStarted,
)
from patter_core.leg import Leg
from patter_core.metrics import CarrierBill
from patter_core.trace import TraceContext

__all__ = ["Call"]

_log = logging.getLogger("patter.call")

_CLOSE_TIMEOUT = 5.0
"""Seconds for the engine's session to close, and for the carrier to hang up."""
_REPORT_EVERY = 30.0
"""Seconds between two reports of a live call's figures."""
_SOCKET_TIMEOUT = 1.0
"""Seconds for the media socket to take its close frame."""


class Call:
    """One call. Made when the carrier announces it; `run` lasts until it is over and frees everything.

    Args:
        call_id: Patter's own id.
        leg: the call at the carrier.
        publish: takes each record; never waits.
        publish_audio: takes each record with audio, if there is anybody who wants audio; never waits.
        recordings: who records the call, and where to.
        report_every: seconds between two reports of the figures.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.call_id = call_id
        self.trace = TraceContext.of_call(call_id)
        self._traceparent = self.trace.traceparent
        self.leg = leg
        self.agent = agent
        self.playback = Playback()
        self._carrier = carrier
        self._publish = publish
        self._clock = clock
        self._announced_at = clock()
        self._state = CallState(deadlines, self._announced_at)
        self._meter = Meter()
        self._meter.announced_at = self._announced_at
        self._codec = carrier.media_codec(leg)
        if publish_audio is not None:
            self._codec = TappedCodec(self._codec, self._captured)
        self._publish_audio = publish_audio
        self._recordings = recordings
        self._report_every = report_every
        self._bridge: Bridge | None = None
        self._send: Send | None = None
        self._session: EngineSession | None = None
        self._caller_format: AudioFormat | None = None
        self._sequence = 0
        self._tasks = anyio.create_task_group()
        self._conversation = anyio.CancelScope()
        self._attached = anyio.Event()
        self._moved = anyio.Event()
        self._done = anyio.Event()
        self._emit(CallAnnounced(leg=leg, agent=agent.name))

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self._state.state.value}>"

    @property
    def state(self) -> State:
        """Where the call is."""
        return self._state.state

    def metrics(self) -> CallMetrics:
        """The figures so far."""
        dropped = 0 if self._session is None else self._session.dropped
        meter, playback, now = self._meter, self.playback, self._clock()
        return meter.metrics(
            now,
            heard_ms=playback.heard_ms,
            frames_dropped=dropped,
            frames_late=playback.late,
            carrier_bill=CarrierBill.of(meter.usage(now, self.leg.direction), self._carrier.rates),
        )

    def hang_up(self) -> None:
        """End the call once the caller has heard what is already on its way. Again and at any time."""
        self._signal(Signal.HANG_UP)

    def caller_gone(self) -> None:
        """The carrier says that the call is over."""
        self._signal(Signal.CALLER_GONE)

    async def serve_media(self, receive: Receive, send: Send) -> None:
        """Use this accepted media socket for the call; returns when the call is over.

        Raises:
            CallError: the call has its socket already, or is over.
        """
        if self._bridge is not None or self._state.state is State.ENDED:
            raise CallError("This call takes no media socket.", expected="one socket for each call, while it lasts")
        self._send = send
        self._bridge = Bridge(
            codec=self._codec,
            receive=receive,
            send=send,
            state=self._state,
            meter=self._meter,
            playback=self.playback,
            emit=self._emit,
            signal=self._signal,
            on_opened=self._media_opened,
            make_converter=make_converter,
            clock=self._clock,
        )
        self._attached.set()
        try:
            await self._done.wait()
        finally:  # the server may cancel us: then the socket is gone
            self._signal(Signal.MEDIA_LOST)

    async def run(self) -> None:
        """Live through the call. Never raises, but for cancellation, which ends the call first."""
        try:
            async with self._tasks as tasks:
                tasks.start_soon(self._watch_deadlines)
                await self._attached.wait()
                tasks.start_soon(self._pump_caller)
                tasks.start_soon(self._report)
        except Exception:  # noqa: BLE001 - the call boundary: a fault in here ends this call and no other
            _log.exception("Call %s crashed.", self.call_id)
            self._signal(Signal.CRASHED, "a fault inside Patter or a plugin; the log has its traceback")
        finally:
            if self._state.state is not State.ENDED:  # cancelled: the worker stops
                self._signal(Signal.CRASHED, "the worker stopped")
            with anyio.CancelScope(shield=True):
                await self._free()

    # --- what happens while it lasts -------------------------------------------------------------------------------

    async def _pump_caller(self) -> None:
        assert self._bridge is not None  # run() waits for it
        await self._bridge.pump_caller()

    def _media_opened(self, opened: MediaOpened) -> None:
        if opened.call_id != self.leg.call_id:
            _log.warning("Call %s: the media socket is for another call; it is closed.", self.call_id)
            self._signal(Signal.MEDIA_LOST, "a media socket of another call came with this call's token")
            return
        if self._caller_format is not None:
            return
        self._caller_format = self._meter.carrier_format = opened.format
        self._signal(Signal.MEDIA_STARTED)
        self._meter.media_at = self._state.media_at
        self._answered()
        self._emit(MediaStarted(format=opened.format))
        for name, location in self._recordings:
            self._emit(RecordingStarted(by=name, location=location))
        self._tasks.start_soon(self._converse)

    def _answered(self) -> None:
        """Somebody answered: what tells it first counts."""
        if self._meter.answered_at is None:
            self._meter.answered_at = now = self._clock()
            self._emit(CallAnswered(answer_ms=(now - self._announced_at) * 1000))

    async def _report(self) -> None:
        while True:
            await anyio.sleep(self._report_every)
            self._emit(MetricsReported(metrics=self.metrics()))

    async def _converse(self) -> None:
        bridge, caller_format = self._bridge, self._caller_format
        assert bridge is not None  # media came through it
        assert caller_format is not None
        with self._conversation:
            try:
                session = await self._open_engine()
            except EngineError as error:
                _log.error("Call %s: no conversation: %s", self.call_id, error)
                self._meter.errors += 1
                self._signal(Signal.ENGINE_FAILED, str(error))
                return
            self._meter.engine_at = self._clock()
            try:
                self._session = session
                self._signal(Signal.ENGINE_READY)
                bridge.join(session, caller_format)
                await bridge.pump_agent(session)
            finally:
                self._meter.engine_over_at = self._clock()
                with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                    await session.aclose()

    async def _open_engine(self) -> EngineSession:
        agent = self.agent
        wished_at = self._clock()
        session = await agent.engine.open(
            ConversationSetup(
                leg=self.leg,
                preferred_format=self._codec.output_format,
                system_prompt=agent.system_prompt,
                first_message=agent.first_message,
                variables=agent.variables,
            )
        )
        connect_ms = (self._clock() - wished_at) * 1000
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
        return session

    async def _watch_deadlines(self) -> None:
        while self._state.state is not State.ENDED:
            with anyio.move_on_after(self._state.deadline() - self._clock()):
                await self._moved.wait()
                self._moved = anyio.Event()
            if self._state.expire(self._clock()):
                self._after_move()

    # --- how it ends -----------------------------------------------------------------------------------------------

    def _signal(self, signal: Signal, detail: str = "") -> None:
        if self._state.signal(signal, self._clock(), detail=detail):
            self._after_move()

    def _after_move(self) -> None:
        self._moved.set()
        match self._state.state:
            case State.ENDING:
                self._conversation.cancel()
                self._tasks.start_soon(self._last_word)
            case State.ENDED:
                self._tasks.cancel_scope.cancel()
            case _:
                pass

    async def _last_word(self) -> None:
        assert self._bridge is not None  # only a live call has a last word
        try:
            await self._bridge.last_word()
        except OSError:
            self._signal(Signal.MEDIA_LOST)

    async def _free(self) -> None:
        """Close the media socket, see to it that the leg is over, and tell the end: exactly once."""
        try:
            if self._send is not None:
                await self._close_socket(self._send)
            if self._state.media_at is not None and self._state.reason is not Reason.CALLER_HUNG_UP:
                await self._hang_up_leg()
        finally:
            self._emit_end()
            self._done.set()

    async def _close_socket(self, send: Send) -> None:
        # The server says OSError or RuntimeError if the peer or the server itself has closed it before.
        with contextlib.suppress(OSError, RuntimeError), anyio.move_on_after(_SOCKET_TIMEOUT):
            await send({"type": "websocket.close", "code": 1000})

    async def _hang_up_leg(self) -> None:
        try:
            with anyio.fail_after(_CLOSE_TIMEOUT):
                await self._carrier.hang_up(self.leg)
        except TimeoutError:
            _log.error("Call %s: the carrier did not answer the hang-up.", self.call_id)
        except Exception:  # noqa: BLE001 - the plugin boundary: the call is over for us in any case
            _log.exception("Call %s: the carrier would not hang up.", self.call_id)

    def _emit_end(self) -> None:
        metrics = self.metrics()
        state = self._state
        self._emit(
            CallEnded(
                reason=state.reason or Reason.CRASHED,
                by=state.by or By.HOST,
                duration_ms=metrics.duration_ms,
                metrics=metrics,
                detail=state.detail,
            )
        )

    # --- events ----------------------------------------------------------------------------------------------------

    def _emit(self, event: CallEvent) -> None:
        self._sequence += 1
        self._publish(self._record(self._sequence, event))

    def _captured(self, audio: AudioCaptured) -> None:
        assert self._publish_audio is not None  # there is no tap without it
        self._publish_audio(self._record(0, audio))

    def _record(self, sequence: int, event: CallEvent) -> Record:
        return Record(
            call_id=self.call_id,
            sequence=sequence,
            time=time.time(),
            elapsed_ms=(self._clock() - self._announced_at) * 1000,
            event=event,
            trace=self._traceparent,
        )


def make_converter(source: AudioFormat, target: AudioFormat) -> Converter | None:
    if source == target:
        return None
    from patter_core.audio.transcode import Transcoder  # noqa: PLC0415 - loads numpy, which most calls do without

    return Transcoder(source, target)
