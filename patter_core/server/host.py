"""The life of a worker: it takes calls while it runs, and drains when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence

import anyio
import anyio.abc

from patter_core.agent import Agent
from patter_core.call.callbacks import CallbackRunner, UserCallbacks
from patter_core.call.config import HostConfig
from patter_core.call.destinations import Destinations
from patter_core.call.handle import PhoneCall
from patter_core.call.history import HistoryWriter
from patter_core.carrier import Carrier
from patter_core.events import CallPriced
from patter_core.observe.logs import guard, tell_left_out
from patter_core.observe.terminal import counted
from patter_core.server.call_table import AWAITS_AUDIO, CallTable
from patter_core.server.consults import Consults
from patter_core.server.counts import Counts
from patter_core.server.delivery import Delivery
from patter_core.server.descriptors import REMEDY, raise_limit, room_in
from patter_core.server.dialing import Dialer
from patter_core.server.held_calls import HeldCalls
from patter_core.server.importing import refuse_while_imported
from patter_core.server.launcher import CallLauncher, phone_call
from patter_core.server.machines import Machines
from patter_core.server.router import Route, Router
from patter_core.server.signals import Stoppable, held_signals, reason_of
from patter_core.server.trunks import Trunk
from patter_core.server.watchdog import LoopWatchdog
from patter_core.sink import EventSink, WorkerFigures
from patter_core.telephony.leg import Leg
from patter_core.telephony.prices import Cost

__all__ = ["CallHost"]

_log = logging.getLogger("patter.host")

_ASKED_WITHIN = 5.0
"""Seconds before the end of a drain, in which carriers are asked which calls are live elsewhere."""
_END_MARGIN = 2.0
"""Seconds for a call to end at its carrier, after its last word."""
_CUT_MARGIN = 6.0
"""Seconds for calls that are cut to end at their carrier."""


class CallHost:
    """One worker: its parts, and their start and end.

    Args:
        carriers: bring the calls; each has a name of its own.
        config: the settings of the worker.
        route: returns who takes an incoming call; None rejects it.
        find_agent: returns an agent by the name in a token; None if this worker has none of that name.
        sinks: where records go.
        callbacks: the user's functions.
    """

    def __init__(
        self,
        *carriers: Carrier,
        config: HostConfig,
        route: Route,
        find_agent: Callable[[str], Agent | None],
        sinks: Sequence[EventSink] = (),
        callbacks: UserCallbacks | None = None,
    ) -> None:
        guard()
        self._history = HistoryWriter(config.store)
        self.table = CallTable(config, self._history)
        self.counts = Counts()
        self.delivery = Delivery(sinks, config.redaction)
        self._config = config
        self.transport = config.transport
        """Takes media sockets over, where the server offers it; None leaves them to the server."""
        self._callbacks = CallbackRunner(callbacks or UserCallbacks(), timeout=config.limits.callback)
        price_after = config.limits.price_after
        self.trunks: Mapping[str, Trunk] = {
            carrier.name: Trunk(carrier, on_price=self._emit_price, price_after=price_after) for carrier in carriers
        }
        """By the carrier's name."""
        self._held = HeldCalls(config, trunks=self.trunks, table=self.table, find_agent=find_agent)
        self._launcher = CallLauncher(
            self.trunks,
            config=config,
            table=self.table,
            delivery=self.delivery,
            history=self._history,
            callbacks=self._callbacks,
            held=self._held,
        )
        self.routers: Mapping[str, Router] = {
            name: self._router(trunk, route, find_agent) for name, trunk in self.trunks.items()
        }
        """By the carrier's name."""
        self._watchdog = LoopWatchdog(self.table.__len__)
        self.dialer = Dialer(self.trunks, config=config, table=self.table, launcher=self._launcher)
        self.beside: Callable[[], Coroutine[object, object, None]] = anyio.sleep_forever
        """Runs as long as the worker does."""
        self._drain_by = math.inf
        """Until when live calls may go on, once the worker stops."""
        self._end_by = math.inf
        """Until when they may take to end then."""
        self._cut_by = math.inf
        """Until when they may take to end once they were cut; infinite as long as they are not."""
        self._waits: set[anyio.CancelScope] = set()
        """What a drain waits in."""
        self._unmanaged: asyncio.Task[None] | None = None
        self._up = anyio.Event()
        """Set once the unmanaged worker runs, or could not start."""
        self.on_taking_calls: Callable[[bool], None] = lambda _takes_calls: None
        """Told True when the worker starts, and False once it is drained: what looks at it holds up no server then."""

    def _router(self, trunk: Trunk, route: Route, find_agent: Callable[[str], Agent | None]) -> Router:
        return Router(
            trunk=trunk,
            config=self._config,
            table=self.table,
            launcher=self._launcher,
            delivery=self.delivery,
            consults=Consults(trunk.carrier, table=self.table, launcher=self._launcher),
            machines=Machines(trunk, table=self.table, launcher=self._launcher),
            counts=self.counts,
            route=route,
            find_agent=find_agent,
        )

    @property
    def stoppable(self) -> Stoppable:
        """The worker, as a signal stops it."""
        return Stoppable(self.stop, self.hurry)

    @property
    def destinations(self) -> Destinations:
        """Where the worker's calls may lead."""
        return self._launcher.destinations

    @property
    def phone_calls(self) -> list[PhoneCall]:
        """The handles of the calls in flight."""
        return [phone_call(call) for call in self.table.calls]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Takes calls while the context lasts; at its end live calls and sinks get their time.

        Raises:
            ConfigurationError: a program is being imported.
        """
        refuse_while_imported()
        self.table.draining = False
        self.on_taking_calls(True)
        self._drain_by = self._end_by = self._cut_by = math.inf
        self._make_room()
        try:
            async with anyio.create_task_group() as background:
                background.start_soon(self.delivery.run, self._figures)
                background.start_soon(self._history.run)
                background.start_soon(self._held.run)
                background.start_soon(self.table.ask_store)
                background.start_soon(self.beside)
                background.start_soon(self._watchdog.run)
                for trunk in self.trunks.values():
                    background.start_soon(trunk.prices.run)
                    background.start_soon(trunk.hang_ups.run)
                async with anyio.create_task_group() as callbacks, anyio.create_task_group() as calls:
                    self._launcher.callbacks, self._launcher.calls = callbacks, calls
                    try:
                        yield
                        self._cut_lost_calls()
                        await self._end_calls()  # the server is closed: nothing can be requested any more
                    finally:
                        calls.cancel_scope.cancel()
                background.cancel_scope.cancel()
        finally:
            self._launcher.callbacks = self._launcher.calls = None
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as last:
                    for trunk in self.trunks.values():
                        last.start_soon(trunk.hang_ups.drain)
                    await self._callbacks.drain()
                    await self.delivery.drain(self._config.limits.flush)
                    await self._held.drain()
                    await self._history.drain()
            tell_left_out()

    def _make_room(self) -> None:
        room, calls = room_in(raise_limit()), self._config.limits.calls
        self.table.room = room.calls
        if room.calls < calls:
            _log.warning(
                "Only %s taken, not %d (Limits.calls): the process may have %d file descriptors. %s",
                counted(room.calls, "call at once is", "calls at once are"),
                calls,
                room.descriptors,
                REMEDY,
            )

    # --- its end ---------------------------------------------------------------------------------------------------

    async def stop(self, signal_number: int) -> None:
        """Drains, then goes on answering for `Limits.linger`: what carriers report of the last calls, and new calls.

        Someone who presses Ctrl-C while no call is live does not wait.
        """
        count, linger = len(self.table), self._config.limits.linger
        if signal_number == signal.SIGINT and not count:
            linger = 0.0
        if count:
            _log.warning(
                "Stopping on %s: %s %g s to finish. The next signal ends calls at once.",
                reason_of(signal_number),
                counted(count, "live call has", "live calls have"),
                self._config.limits.drain,
            )
        elif linger:
            _log.warning(
                "Stopping on %s: no call is live; carriers are answered for %g s more.",
                reason_of(signal_number),
                linger,
            )
        await self._end_calls()
        with self._waiting(anyio.current_time() + linger):
            await anyio.sleep_forever()
        await self._settle()

    async def drain(self) -> None:
        """Takes no new calls, and waits for the live ones as long as `Limits.drain` says; then ends them.

        A second drain has the time that the first one has left.
        """
        await self._end_calls()
        await self._settle()

    async def _settle(self) -> None:
        with self._waiting(math.inf):
            async with anyio.create_task_group() as tasks:
                for trunk in self.trunks.values():
                    tasks.start_soon(trunk.settle)

    async def _end_calls(self) -> None:
        limits = self._config.limits
        self.table.draining = True
        self._drain_by = min(self._drain_by, anyio.current_time() + limits.drain)
        with self._waiting(self._drain_by - _ASKED_WITHIN):
            await self.table.wait_until_empty()
        with self._waiting(self._drain_by):
            await self._find_moved()
            await self.table.wait_until_empty()
        if len(self.table) and self._cut_by == math.inf:
            left = counted(len(self.table), "live call is", "live calls are")
            _log.warning("The %g s of Limits.drain are over: %s ended as Limits.after_drain says.", limits.drain, left)
        why = f"the server stopped: the {limits.drain:g} s of Limits.drain were over"
        for call in self.table.calls:
            call.hang_up(limits.after_drain, detail=why)
        self._end_by = min(self._end_by, anyio.current_time() + self._config.deadlines.last_word + _END_MARGIN)
        with self._waiting(self._end_by):
            await self.table.wait_until_empty()
        if self._cut_by < math.inf:
            with anyio.move_on_at(self._cut_by):
                await self.table.wait_until_empty()
        self.on_taking_calls(False)

    async def _find_moved(self) -> None:
        """Ends the dialled calls that another worker has, so that they are not hung up from here.

        Between machines only the carrier knows of it.
        """
        if self._config.several_workers:
            async with anyio.create_task_group() as asking:
                for call in self.table.perhaps_elsewhere:
                    asking.start_soon(call.reports.look_elsewhere)

    async def hurry(self) -> None:
        """Ends a drain at once: live calls are cut, and hung up at their carrier."""
        if self._cut_by < math.inf:
            return
        if len(self.table):
            _log.warning("Stopping at once: %s hung up.", counted(len(self.table), "live call is", "live calls are"))
        self.table.draining = True
        self._cut_by = anyio.current_time() + _CUT_MARGIN
        for scope in self._waits:
            scope.cancel()
        for call in self.table.calls:
            self._launcher.cut(call)

    @contextlib.contextmanager
    def _waiting(self, by: float) -> Iterator[None]:
        """Waits inside until `by`, or until there is hurry."""
        with anyio.move_on_at(by if self._cut_by == math.inf else -math.inf) as scope:
            self._waits.add(scope)
            try:
                yield
            finally:
                self._waits.discard(scope)

    def _cut_lost_calls(self) -> None:
        """Cuts the calls whose audio is gone: the server has closed its sockets, so it does not come back.

        Not if another worker may take them.
        """
        if self._config.several_workers:
            return
        for call in self.table.calls:
            if call.had_media and call.state in AWAITS_AUDIO:
                self._launcher.cut(call)

    async def ensure_running(self) -> None:
        """Starts what `running` starts, if the app was mounted without its lifespan.

        It then runs as long as the event loop, which cancels it at its end. A worker that was drained is not started
        again by a request.
        """
        if self._launcher.calls is not None or self.table.draining:
            return
        refuse_while_imported()
        if self._unmanaged is None or self._unmanaged.done():
            self._up = anyio.Event()
            self._unmanaged = asyncio.get_running_loop().create_task(self._run_unmanaged(self._up))
        await self._up.wait()

    async def _run_unmanaged(self, up: anyio.Event) -> None:
        try:
            async with self.running():
                with held_signals(self.stoppable):
                    up.set()
                    await anyio.sleep_forever()
        finally:
            up.set()  # also if it could not start: requests wait for it

    def _figures(self) -> WorkerFigures:
        return WorkerFigures(
            calls_limit=min(self._config.limits.calls, self.table.room),
            turned_away=self.counts.turned_away.copy(),
            webhooks_refused=self.counts.webhooks_refused.copy(),
            dropped={"callbacks": self._callbacks.dropped, "store": self._history.dropped},
            loop_lag=self._watchdog.lag,
        )

    def _emit_price(self, leg: Leg, cost: Cost) -> None:
        self.routers[leg.carrier].emit(leg, None, CallPriced(cost=cost))
