"""The calls in flight on this worker: who is let in, which socket belongs to which call, and how all of it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import anyio
import anyio.abc
import msgspec

from patter_core.agent import Agent, CallOptions
from patter_core.call.call import Call
from patter_core.call.callbacks import CallbackQueue, CallbackRunner, UserCallbacks
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.call.history import HistoryWriter
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.carrier import Carrier
from patter_core.errors import CallLimitReached, ConfigurationError, WorkerStopping
from patter_core.events import CallEvent, CallPriced, Record, RecordingChanged
from patter_core.observe.logs import guard
from patter_core.observe.redaction import Redaction
from patter_core.observe.trace import TraceContext
from patter_core.server.call_table import BoundedDict, EndedCall
from patter_core.server.delivery import Delivery
from patter_core.server.limits import Limits, RateLimit
from patter_core.server.passes import CallTokens
from patter_core.server.price_lookup import PriceLookup
from patter_core.server.tokens import LONGEST_TOKEN, CallToken
from patter_core.server.urls import base_of
from patter_core.sink import EventSink
from patter_core.store import CallStore
from patter_core.telephony.control import Capability, DialRequest, RecordingStatus, callback_token
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost
from patter_core.webhook import Accept, Reject, RoutedCall

__all__ = ["CallHost", "Route"]

_log = logging.getLogger("patter.host")

_END_MARGIN = 2.0
"""Seconds for a call to end at its carrier, after its last word."""
_REMEMBERED = 10_000
"""Events, and calls that are over."""

_CALLS = uuid.UUID("6f1d2c58-6a0e-4b53-9d0b-7f2f8a1f4c11")
"""Whoever is told of a call, and how often ever, has the same id for it."""

Route = Callable[[Leg], Agent | Reject | Transfer | None]


class CallHost:
    """Takes calls in and runs each as a task of its own. It is the `CallRouter` of the carrier's webhooks.

    Args:
        route: who takes a call that comes in, or what else becomes of it; None if nobody wants it.
        find_agent: an agent by the name in a stream token; None if this worker has none of that name.
        shared: may another worker get the stream of a call that is announced here?
    """

    def __init__(
        self,
        *,
        carrier: Carrier,
        sinks: Sequence[EventSink],
        route: Route,
        find_agent: Callable[[str], Agent | None],
        limits: Limits,
        deadlines: Deadlines,
        redaction: Redaction | None = None,
        store: CallStore | None = None,
        listeners: UserCallbacks | None = None,
        shared: bool = False,
    ) -> None:
        guard()
        self.carrier = carrier
        self.sinks = Delivery(sinks, redaction)
        self.lines = HistoryWriter(store)
        self.listeners = CallbackRunner(listeners or UserCallbacks(), timeout=limits.callback)
        self._shared = shared
        self._route = route
        self._find_agent = find_agent
        self._limits = limits
        self._deadlines = deadlines
        self._passes = CallTokens(carrier)
        self._prices = PriceLookup(carrier, self._tell_price, limits.price_after)
        self._calls: dict[str, Call] = {}
        self._bases: dict[str, str] = {}
        self._by_leg: dict[str, Call] = {}
        self._dialling: dict[str, list[Progress]] = {}
        self._over: BoundedDict[EndedCall] = BoundedDict(_REMEMBERED)
        self._events: BoundedDict[bool] = BoundedDict(_REMEMBERED)
        self._tasks: anyio.abc.TaskGroup | None = None
        self._listening: anyio.abc.TaskGroup | None = None
        self._unmanaged: asyncio.Task[None] | None = None
        self._rate = RateLimit(limits.calls_per_second, time.monotonic())
        self._draining = False
        self._call_ended = anyio.Event()

    @property
    def calls(self) -> int:
        """How many calls are in flight."""
        return len(self._calls)

    @property
    def handles(self) -> list[PhoneCall]:
        """The calls in flight, for their user."""
        return [self._handle(call) for call in self._calls.values()]

    @property
    def ready(self) -> bool:
        """Are new calls taken?"""
        return not self._draining and len(self._calls) < self._limits.calls

    @property
    def draining(self) -> bool:
        """Is the worker stopping?"""
        return self._draining

    def _takes_new_call(self) -> bool:
        return self.ready and self._rate.take(time.monotonic())

    def _refuse_if_draining(self) -> None:
        if self._draining:
            raise WorkerStopping("This worker is stopping.", remedy="Another one may take the call.")

    # --- its life --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take calls while the context lasts; at its end live calls get their time, and sinks what they have coming."""
        try:
            async with anyio.create_task_group() as sink_tasks:
                sink_tasks.start_soon(self.sinks.run)
                sink_tasks.start_soon(self._prices.run)
                sink_tasks.start_soon(self.lines.run)
                async with anyio.create_task_group() as self._listening, anyio.create_task_group() as self._tasks:
                    try:
                        yield
                        await self.drain()
                    finally:
                        self._tasks.cancel_scope.cancel()
                sink_tasks.cancel_scope.cancel()
        finally:
            self._tasks = self._listening = None
            with anyio.CancelScope(shield=True):
                await self.listeners.drain()
                await self.sinks.drain(self._limits.flush)
                await self.lines.drain()

    async def drain(self) -> None:
        """Take no new calls, and wait for the live ones as long as they may."""
        self._draining = True
        with anyio.move_on_after(self._limits.drain):
            await self._no_calls()
        for call in list(self._calls.values()):
            call.hang_up(self._limits.after_drain)
        with anyio.move_on_after(self._deadlines.last_word + _END_MARGIN):
            await self._no_calls()

    async def _no_calls(self) -> None:
        while self._calls:
            await self._call_ended.wait()

    async def ensure_running(self) -> None:
        """Start what `running` starts, if whoever mounted the app passes no lifespan on to it.

        Then it lives as long as the event loop, which cancels it at its end.
        """
        if self._tasks is None and (self._unmanaged is None or self._unmanaged.done()):
            up = anyio.Event()
            self._unmanaged = asyncio.get_running_loop().create_task(self._run_unmanaged(up))
            await up.wait()

    async def _run_unmanaged(self, up: anyio.Event) -> None:
        async with self.running():
            up.set()
            await anyio.sleep_forever()

    # --- calls that we make ----------------------------------------------------------------------------------------

    async def dial(
        self, *, agent: Agent, to_number: str, from_number: str, base: str, ring_timeout: float, options: CallOptions
    ) -> OutboundCall:
        """Make a call; returns once the carrier has taken it. Raises as `Patter.call` does."""
        carrier = self.carrier
        carrier.require(Capability.DIAL)
        if options.machine_detection:
            carrier.require(Capability.MACHINE_DETECTION)
        if options.voicemail_message:
            carrier.require(Capability.SAY)
        if not self._takes_new_call():
            raise CallLimitReached(
                "No more calls can be made here now.",
                expected=f"fewer than {self._limits.calls} at once and {self._limits.calls_per_second:g} a second",
                remedy="A worker that is stopping makes none." if self._draining else "Try again later.",
            )
        token = CallToken(
            carrier=carrier.name,
            call_id=uuid.uuid4().hex,
            agent=agent.name,
            direction=Direction.OUTBOUND,
            from_number=from_number,
            to_number=to_number,
            base=base,
            options=options,
            issued_at=time.time(),
        )
        callbacks = self._passes.callbacks(token)
        if len(callbacks.token) > LONGEST_TOKEN - 200:
            raise ConfigurationError(
                "What this call should bring along is too long.",
                expected="some 2,000 characters of first_message, voicemail_message and variables together",
            )
        request = DialRequest(
            to_number=to_number,
            from_number=from_number,
            ring_timeout=ring_timeout,
            machine_detection=options.machine_detection,
            await_greeting_end=bool(options.voicemail_message),
            callbacks=callbacks,
            command_id=token.call_id,
        )
        early = self._dialling[token.call_id] = []  # what webhooks say before the carrier's API has answered
        try:
            leg_id = await carrier.dial(request)
        except BaseException:  # it may have been dialled all the same: then nobody is to talk
            self._over.put(token.call_id, EndedCall(token.call_id))
            raise
        finally:
            del self._dialling[token.call_id]
        call = self._calls.get(token.call_id)
        if call is None:
            leg = msgspec.structs.replace(token.leg, call_id=leg_id)
            call = self._start(token, leg, agent, ring_timeout=ring_timeout)
            for progress in early:
                call.note_progress(progress)
        return OutboundCall(call, self._renew)

    # --- the desk --------------------------------------------------------------------------------------------------

    async def call_arrived(self, leg: Leg, verified_url: str, text: str) -> Accept | Reject | Transfer:
        """Take the call in, or not. A second announcement of a leg in flight gives the admission of the first.

        Raises:
            WorkerStopping: another worker may take it.
        """
        token = self._passes.read_callback(text)
        call = self._find(leg, token)
        if call is None:
            if self._is_over(leg, token):
                return Reject()
            self._refuse_if_draining()
            if token is None:
                if not self._takes_new_call():
                    return Reject(reason="busy")
                routed = self._route(leg)
                if not isinstance(routed, Agent):
                    return routed or Reject()
                agent: Agent | None = routed
                token = CallToken(
                    carrier=leg.carrier,
                    leg_id=leg.call_id,
                    call_id=uuid.uuid5(_CALLS, f"{leg.carrier}:{leg.call_id}").hex,
                    agent=routed.name,
                    direction=leg.direction,
                    from_number=leg.from_number,
                    to_number=leg.to_number,
                    base=base_of(verified_url),
                    issued_at=time.time(),
                )
            else:
                agent = self._find_agent(token.agent)
            if agent is None:
                return Reject(reason="busy")
            if self._shared:  # who gets the stream has the call
                return self._passes.admit(msgspec.structs.replace(token, leg_id=leg.call_id))
            call = self._start(token, leg, agent)
        if leg.direction is Direction.OUTBOUND:
            call.note_progress(Progress.ANSWERED)
        if call.admission is None or call.had_media:  # an admission brings one stream, and that one came
            return self._renew(call)
        return call.admission

    async def stream_ended(self, leg: Leg, text: str) -> Accept | HangUp | Transfer:
        """Bring the media again, as long as the call is not over and has not lost them too often.

        Raises:
            WorkerStopping: another worker may go on with it.
        """
        token = self._passes.read_callback(text)
        call = self._find(leg, token)
        if call is None:
            return self._after_stream_elsewhere(leg, token)
        call.media_over()
        if token is not None:
            call.streams_lost = max(call.streams_lost, token.streams)  # another worker may have had it meanwhile
        if call.state is not State.ENDED and call.streams_lost >= self._limits.reconnects:
            call.give_up_media()
        if call.state is State.ENDED:
            return call.verdict
        call.streams_lost += 1
        return self._renew(call)

    def _after_stream_elsewhere(self, leg: Leg, token: CallToken | None) -> Accept | HangUp | Transfer:
        """The call is over, or it was another worker's, which is gone."""
        epilogue = self._epilogue(leg, token)
        if epilogue is not None and not epilogue.elsewhere:
            return epilogue.verdict
        if token is None or self._find_agent(token.agent) is None:
            return HangUp()
        self._refuse_if_draining()
        if token.streams >= self._limits.reconnects:
            return HangUp()
        return self._passes.admit(msgspec.structs.replace(token, leg_id=leg.call_id, streams=token.streams + 1))

    async def call_progressed(self, leg: Leg, progress: Progress, text: str) -> None:
        """The carrier says how far the call has come."""
        token = self._passes.read_callback(text)
        call = self._find(leg, token)
        if call is not None:
            call.note_progress(progress)
        elif token is not None and token.call_id in self._dialling:
            self._dialling[token.call_id].append(progress)

    async def call_answered_by(self, leg: Leg, who: AnsweredBy, text: str) -> None:
        """The carrier says who answered."""
        call = self._find(leg, self._passes.read_callback(text))
        if call is not None:
            call.note_answered_by(who)

    async def recording_changed(self, leg: Leg, status: RecordingStatus, text: str) -> None:
        """The carrier says what became of a recording."""
        self._tell(leg, RecordingChanged(recording=status), self._passes.read_callback(text))

    async def call_priced(self, leg: Leg, cost: Cost, text: str) -> None:
        """The carrier says what it charges."""
        self._tell(leg, CallPriced(cost=cost), self._passes.read_callback(text))

    def call(self, leg: Leg, verified_url: str, token: str = "") -> RoutedCall:
        """As in `CallRouter`."""
        return _RoutedCall(self, leg, verified_url, token or callback_token(verified_url))

    @contextlib.contextmanager
    def seen(self, event_id: str) -> Iterator[bool]:
        """As in `CallRouter`."""
        if event_id in self._events:
            yield True
            return
        self._events.put(event_id, True)
        try:
            yield False
        except BaseException:
            self._events.drop(event_id)
            raise

    def _tell_price(self, leg: Leg, cost: Cost) -> None:
        self._tell(leg, CallPriced(cost=cost), None)

    def _tell(self, leg: Leg, event: CallEvent, token: CallToken | None) -> None:
        """Tell an event of a call that may be over, here or on another worker."""
        call = self._find(leg, token)
        if call is not None:
            call.emit(event)
            return
        epilogue = self._epilogue(leg, token)
        if epilogue is None and token is not None:
            epilogue = EndedCall(token.call_id)
        if epilogue is None:
            return
        epilogue.sequence += 1
        elapsed = time.monotonic() - epilogue.announced_at if epilogue.announced_at else 0.0
        self.sinks.put(
            Record(
                call_id=epilogue.call_id,
                sequence=epilogue.sequence,
                time=time.time(),
                elapsed_ms=elapsed * 1000,
                event=event,
                trace=epilogue.trace or TraceContext.of_call(epilogue.call_id).traceparent,
            )
        )

    # --- media -----------------------------------------------------------------------------------------------------

    def claim(self, token_text: str) -> Call | None:
        """The call that a media socket with this token may serve; None if the token is bad, used, or nobody's.

        The call need not be known here: the webhook may have gone to another worker.
        """
        token = self._passes.read_stream(token_text)
        if token is None:
            return None
        call = self._calls.get(token.call_id)
        if call is None:
            agent = self._find_agent(token.agent)
            if agent is None or self._draining or self._is_over(token.leg, token):
                return None
            if not self._shared and not token.streams:
                _log.warning(
                    "Call %s was announced to another worker, or before this one started. If workers share calls, say "
                    "so: Patter(shared=True), or PATTER_SHARED=1. Else the other one hangs it up.",
                    token.call_id,
                )
            call = self._start(token, token.leg, agent)
            call.admission = Accept(
                call_id=token.call_id,
                media_url="",
                callbacks=self._passes.callbacks(msgspec.structs.replace(token, issued_at=time.time())),
            )
        self._passes.use(token_text)
        return call

    # --- tokens ----------------------------------------------------------------------------------------------------

    def _renew(self, call: Call) -> Accept:
        """A fresh admission of a call, from what is known of it now."""
        token = CallToken(
            carrier=call.leg.carrier,
            leg_id=call.leg.call_id,
            call_id=call.call_id,
            agent=call.agent.name,
            direction=call.leg.direction,
            from_number=call.leg.from_number,
            to_number=call.leg.to_number,
            base=self._bases[call.call_id],
            options=call.options,
            streams=call.streams_lost,
            issued_at=0.0,
        )
        call.admission = self._passes.admit(token)
        return call.admission

    # --- calls -----------------------------------------------------------------------------------------------------

    def _handle(self, call: Call) -> PhoneCall:
        kind = OutboundCall if call.leg.direction is Direction.OUTBOUND else PhoneCall
        return kind(call, self._renew)

    def _find(self, leg: Leg, token: CallToken | None) -> Call | None:
        call = self._by_leg.get(leg.call_id)
        if call is None and token is not None:
            call = self._calls.get(token.call_id)
        return call

    def _epilogue(self, leg: Leg, token: CallToken | None) -> EndedCall | None:
        epilogue = self._over.get(leg.call_id)
        if epilogue is None and token is not None:
            epilogue = self._over.get(token.call_id)
        return epilogue

    def _is_over(self, leg: Leg, token: CallToken | None) -> bool:
        epilogue = self._epilogue(leg, token)
        return epilogue is not None and not epilogue.elsewhere

    def _start(self, token: CallToken, leg: Leg, agent: Agent, *, ring_timeout: float | None = None) -> Call:
        assert self._tasks is not None  # the app makes sure before it lets a request in
        listener = self.listeners.new_queue()
        call = Call(
            call_id=token.call_id,
            leg=leg,
            agent=agent,
            carrier=self.carrier,
            deadlines=self._deadlines,
            publish=self._publisher(listener),
            publish_audio=self.sinks.put_audio if self.sinks.takes_audio else None,
            recordings=self.sinks.recordings(token.call_id),
            lines=self.lines,
            prewarm=self._may_prewarm,
            shared=self._shared,
            streams_lost=token.streams,
            options=token.options,
            ring_timeout=ring_timeout,
        )
        self._calls[call.call_id] = call
        self._bases[call.call_id] = token.base
        self._by_leg[leg.call_id] = call
        self._tasks.start_soon(self._run, call, listener)
        return call

    def _may_prewarm(self) -> bool:
        """Another worker that gets the stream would open the conversation again, so there is none if there is one."""
        return not self._shared and sum(call.is_ahead for call in self._calls.values()) < self._limits.prewarm

    def _publisher(self, listener: CallbackQueue | None) -> Callable[[Record], None]:
        if listener is None:
            return self.sinks.put
        to_sinks, to_listener = self.sinks.put, listener.put

        def publish(record: Record) -> None:
            to_sinks(record)
            to_listener(record)

        return publish

    async def _run(self, call: Call, listener: CallbackQueue | None) -> None:
        if listener is not None and self._listening is not None:
            self._listening.start_soon(self.listeners.run, listener, self._handle(call))
        try:
            await call.run()
        finally:
            if listener is not None:
                listener.close()
            epilogue = EndedCall(
                call.call_id,
                call.verdict,
                call.sequence,
                call.announced_at,
                call.trace.traceparent,
                elsewhere=call.may_be_on_another_worker,
            )
            self._over.put(call.call_id, epilogue)
            self._over.put(call.leg.call_id, epilogue)
            if call.was_answered and self.sinks.queues:
                self._prices.want(call.leg)
            del self._calls[call.call_id], self._bases[call.call_id]
            self._by_leg.pop(call.leg.call_id, None)
            self._call_ended.set()
            self._call_ended = anyio.Event()


class _RoutedCall:
    def __init__(self, host: CallHost, leg: Leg, verified_url: str, token: str) -> None:
        self._host = host
        self._leg = leg
        self._url = verified_url
        self._token = token

    async def arrived(self) -> Accept | Reject | Transfer:
        return await self._host.call_arrived(self._leg, self._url, self._token)

    async def stream_ended(self) -> Accept | HangUp | Transfer:
        return await self._host.stream_ended(self._leg, self._token)

    async def progressed(self, progress: Progress) -> None:
        await self._host.call_progressed(self._leg, progress, self._token)

    async def answered_by(self, who: AnsweredBy) -> None:
        await self._host.call_answered_by(self._leg, who, self._token)

    async def recording_changed(self, status: RecordingStatus) -> None:
        await self._host.recording_changed(self._leg, status, self._token)

    async def priced(self, cost: Cost) -> None:
        await self._host.call_priced(self._leg, cost, self._token)
