"""Starts calls, and runs each as a task of its own."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping

import anyio
import anyio.abc

from patter_core.agent import Agent
from patter_core.aio.foreign import as_exception
from patter_core.call.call import Call
from patter_core.call.callbacks import CallbackQueue, CallbackRunner
from patter_core.call.config import HostConfig
from patter_core.call.destinations import Destinations
from patter_core.call.engine_breakers import EngineBreakers
from patter_core.call.handle import OutboundCall, PhoneCall
from patter_core.call.hangup import LegEnd
from patter_core.call.history import HistoryWriter
from patter_core.call.notice import carrier_notice
from patter_core.call.records import Outlets
from patter_core.call.token import CallToken
from patter_core.call.tool_context import fill_in_tools
from patter_core.server.call_lines import CallLines
from patter_core.server.call_table import CallTable
from patter_core.server.delivery import Delivery
from patter_core.server.held_calls import HeldCalls
from patter_core.server.trunks import Trunk
from patter_core.telephony.leg import Direction, Leg
from patter_core.telephony.outcome import HangUp, Reason

__all__ = ["CallLauncher", "phone_call"]

_log = logging.getLogger("patter.host")


def phone_call(call: Call) -> PhoneCall:
    """Returns the handle of a call for its user."""
    return OutboundCall(call) if call.leg.direction is Direction.OUTBOUND else PhoneCall(call)


class CallLauncher:
    """Makes calls of what the router and the dialer decide.

    Args:
        trunks: whose calls they are, by the carrier's name.
        config: the settings of the worker.
        table: gets each call while it is in flight.
        delivery: takes the calls' records.
        history: keeps what is said in the shared store.
        callbacks: runs the user's functions.
        held: keeps leases of calls on hold.
    """

    def __init__(
        self,
        trunks: Mapping[str, Trunk],
        *,
        config: HostConfig,
        table: CallTable,
        delivery: Delivery,
        history: HistoryWriter,
        callbacks: CallbackRunner,
        held: HeldCalls,
    ) -> None:
        self.calls: anyio.abc.TaskGroup | None = None
        """Where calls run; None while the worker is not running."""
        self.callbacks: anyio.abc.TaskGroup | None = None
        """Where the user's functions run: it outlives the calls."""
        self._trunks = trunks
        self._config = config
        self._table = table
        self._delivery = delivery
        self._history = history
        self._callbacks = callbacks
        self._held = held
        self._breakers = EngineBreakers()
        self.destinations = Destinations(config.limits)
        """Where the worker's calls may lead."""
        self._log = CallLines()
        self._scopes: dict[str, anyio.CancelScope] = {}

    def cut(self, call: Call) -> None:
        """Ends a call at once: it is hung up at its carrier, whatever there is still to hear."""
        call.hang_up(HangUp(), detail="the server stopped at once")
        self._scopes[call.call_id].cancel()

    def start(self, token: CallToken, leg: Leg, agent: Agent, *, ring_timeout: float | None = None) -> Call:
        """Starts a call.

        Args:
            token: identifies it.
            leg: the call at the carrier.
            agent: who talks.
            ring_timeout: s, for an outbound call that was not answered yet.
        """
        assert self.calls is not None  # the app makes sure that the worker runs before it lets a request in
        trunk = self._trunks[leg.carrier]
        queue = self._callbacks.new_queue()
        is_dialled_elsewhere = leg.direction is Direction.OUTBOUND and not (
            token.is_new or token.call_id in self._table.dialling
        )
        call = Call(
            token,
            leg=leg,
            agent=agent,
            carrier=trunk.carrier,
            config=self._config,
            outlets=self._outlets(token, queue),
            breakers=self._breakers,
            destinations=self.destinations,
            new_accept=functools.partial(trunk.tokens.accept, notice=carrier_notice(agent, trunk.carrier)),
            may_prewarm=self._table.may_prewarm,
            ring_timeout=ring_timeout,
            was_announced=is_dialled_elsewhere,
        )
        call.context.look_elsewhere = self._table.look
        call.context.notes = self._table.notes
        fill_in_tools(call, phone_call(call))
        call.context.meter.machine_detection = token.options.machine_detection
        self._held.watch(call)
        self._table.add(call)
        self._scopes[call.call_id] = scope = anyio.CancelScope()
        self.calls.start_soon(self._run, call, trunk, queue, scope)
        return call

    def _outlets(self, token: CallToken, queue: CallbackQueue | None) -> Outlets:
        delivery, call_id = self._delivery, token.call_id
        return Outlets(
            put=(delivery.put, self._log.of(token), *(() if queue is None else (queue.put,))),
            put_audio=delivery.put_audio if delivery.takes_audio else None,
            recordings=delivery.recordings(call_id),
            history=self._history,
        )

    async def _run(self, call: Call, trunk: Trunk, queue: CallbackQueue | None, scope: anyio.CancelScope) -> None:
        if queue is not None and self.callbacks is not None:
            self.callbacks.start_soon(self._callbacks.run, queue, phone_call(call))
        try:
            with scope:
                await call.run()
            if call.may_be_on_another_worker and self._table.draining and not self._config.several_workers:
                # There is no other worker, and this one goes.
                await call.end_leg()
        except BaseException as error:  # noqa: BLE001 - the last wall: no call ends another one
            _log.error("Call %s did not end in good order.", call.call_id, exc_info=as_exception(error))
        finally:
            if queue is not None:
                queue.close()
            if call.leg_end is LegEnd.FAILED:
                trunk.hang_ups.want(call.leg)
            if call.reports.was_answered and call.context.state.reason is not Reason.MOVED and self._delivery.is_wanted:
                trunk.prices.want(call.leg)
            del self._scopes[call.call_id]
            self._table.remove(call)
