"""What the parts of one call share: who is on it, its state, its metrics, and where its events go."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import ParamSpec

import anyio
import anyio.abc
import msgspec

from patter_core.agent import Agent, Scalar
from patter_core.aio import Changes
from patter_core.aio.foreign import as_exception
from patter_core.call.config import HostConfig
from patter_core.call.destinations import Destinations
from patter_core.call.engine_breakers import EngineBreakers
from patter_core.call.history import HistoryWriter
from patter_core.call.meter import Meter
from patter_core.call.notice import Notice
from patter_core.call.records import Records
from patter_core.call.shared_notes import SharedNotes
from patter_core.call.state import CallState, Signal, State
from patter_core.call.token import CallToken
from patter_core.carrier import Carrier
from patter_core.events import CallEvent
from patter_core.net.transport import in_use
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Reason
from patter_core.webhook import Accept

__all__ = ["CallContext"]

P = ParamSpec("P")

_log = logging.getLogger("patter.call")

_ENDS_OF_LEG = frozenset({Signal.CARRIER_HUNG_UP, Signal.MEDIA_STOPPED})
_FAILED = frozenset({Reason.ENGINE_FAILED, Reason.ENGINE_SLOW, Reason.MEDIA_UNUSABLE})


class CallContext:
    """Made by `Call`, which gives it to each of its parts.

    Args:
        token: identifies the call, here and on other workers.
        leg: the call at the carrier.
        agent: who talks first, with the call's own options applied.
        breakers: of the worker's engines.
        destinations: where the worker's calls may lead.
        new_accept: makes the `Accept` by which the carrier brings the call's media.
        clock: monotonic, in s.
    """

    leg_is_over = False
    """True once the carrier has reported the end of its leg."""
    has_crashed = False
    """True if an error of Patter or a plugin has ended the call."""
    message_elsewhere = False
    """True if another worker has asked the carrier for the message for an answering machine."""
    message_beside = False
    """True if this worker has, beside the call, whose audio is not here."""

    def __init__(
        self,
        token: CallToken,
        *,
        leg: Leg,
        agent: Agent,
        carrier: Carrier,
        config: HostConfig,
        state: CallState,
        records: Records,
        breakers: EngineBreakers,
        destinations: Destinations,
        new_accept: Callable[[CallToken], Accept],
        clock: Callable[[], float],
    ) -> None:
        self.token = token
        self.leg = leg
        self.agent = agent
        self.carrier = carrier
        self.config = config
        self.state = state
        self.records = records
        self.breakers = breakers
        self.destinations = destinations
        self.clock = clock
        state.before = token.lasted(time.time())
        self.was_elsewhere = bool(token.began)
        """True if the call had its media at another worker before."""
        self.meter = Meter(records.accepted_at - state.before if self.was_elsewhere else None)
        self.variables: Mapping[str, Scalar] = {}
        """Of the agent and the call, as the last session was opened with them."""
        self.accept: Accept | None = None
        """The last answer to the carrier."""
        self.tasks: anyio.abc.TaskGroup = anyio.create_task_group()
        """Ends with the call."""
        self.on_move: Callable[[], None] = _nothing
        """Called after each change of state."""
        self.on_state: Callable[[], None] = _nothing
        """Called after each change of state, before `on_move`: for the worker, beside the call's own parts."""
        self.look_elsewhere: Callable[[], None] = _nothing
        """Finds out, without waiting, what other workers of this server have done with the call."""
        self.notes = SharedNotes(HistoryWriter(None))
        """What workers tell each other in the store; `CallLauncher` sets it."""
        self.on_event: Callable[[CallEvent], None] = _ignore
        """Called with each event of the call, after it was recorded."""
        self.changes = Changes()
        """Notified of each signal, also of one that moves nothing."""
        self.notice = Notice(
            agent, carrier, records=records, emit=self.emit, changes=self.changes, is_new=not token.streams
        )
        self.streams_here = 0
        """How many streams the call has had, up to the last that came to this worker; 0 if none came here."""
        self.was_held = False
        """True while the carrier may play to the caller: if that has ended the stream, it does not ask what is next."""
        self.new_accept = new_accept
        """Makes the `Accept` of a token."""
        self._loop = asyncio.get_running_loop()

    @property
    def call_id(self) -> str:
        """Patter's own id."""
        return self.token.call_id

    @property
    def is_over(self) -> bool:
        """True once the call is over, except for the clean-up."""
        return self.state.state is State.ENDED

    @property
    def has_failed(self) -> bool:
        """True if something has failed the caller: the agent's fallback follows."""
        return self.state.reason in _FAILED or self.has_crashed

    def emit(self, event: CallEvent) -> None:
        """Records an event of the call."""
        self.records.emit(event)
        self.on_event(event)

    def signal(self, signal: Signal, detail: str = "") -> bool:
        """Moves the call as its state table says. True if it is in another state now."""
        self.changes.notify()
        if signal in _ENDS_OF_LEG:
            self._look_before_end()
        if not self.state.signal(signal, self.clock(), detail=detail):
            return False
        self.on_state()
        self.on_move()
        return True

    def _look_before_end(self) -> None:
        """The carrier has ended the leg or its stream: another worker, which it asked or told before, may know why.

        Or it has the call, whose later stream came to it.
        """
        self.look_elsewhere()
        if not (self.message_elsewhere or self.message_beside):
            return
        self.signal(Signal.ANSWERED)  # by the machine, if this worker was not told
        if self.state.allows(Signal.TRANSFER):
            self.signal(Signal.TRANSFER)
            self.signal(Signal.VOICEMAIL)

    def start(self, function: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Starts a task of the call. What it raises ends the call, and nothing else."""
        self.tasks.start_soon(self._run_task, functools.partial(function, *args, **kwargs))

    def run_in_loop(self, function: Callable[..., object], *args: object) -> None:
        """Runs a function on the call's event loop; safe from any thread, since callbacks may run in one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a plain thread; others may run a loop of their own
            loop = None
        if loop is self._loop:
            function(*args)
        else:
            self._loop.call_soon_threadsafe(function, *args)

    async def _run_task(self, function: Callable[[], Awaitable[None]]) -> None:
        in_use.set(self.config.transport)  # for the sockets that the task opens
        try:
            await function()
        except BaseException as error:  # noqa: BLE001 - the call boundary
            self.crash(error)

    def crash(self, error: BaseException) -> None:
        """Ends the call because of an error, and logs it. Our own cancellation is raised again."""
        _log.error("Call %s crashed.", self.call_id, exc_info=as_exception(error))
        self.has_crashed = True
        self.signal(Signal.CRASHED, "a fault inside Patter or a plugin; the log has its traceback")

    def note_media(self) -> None:
        """The call has media: the first one is what its duration counts from, also at workers that take it over."""
        self.meter.media_at = self.state.media_at
        if not self.token.began:
            self.token = msgspec.structs.replace(self.token, began=time.time())

    def renew_accept(self) -> Accept:
        """Returns a new `Accept`: each brings one media stream."""
        streams = self.token.streams
        if self.state.media_at is not None:
            streams = max(1, streams, self.streams_here)
        self.token = msgspec.structs.replace(self.token, leg_id=self.leg.call_id, streams=streams)
        self.accept = self.new_accept(self.token)
        return self.accept


def _ignore(_event: CallEvent) -> None:
    """No event is of interest yet."""


def _nothing() -> None:
    """No change of state is of interest yet."""
