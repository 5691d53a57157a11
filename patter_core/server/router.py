"""What a carrier asks and reports: its webhooks, and the media sockets that follow from them."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from patter_core.agent import Agent, AgentForCall
from patter_core.aio.locks import KeyedLocks
from patter_core.call.call import Call
from patter_core.call.config import HostConfig
from patter_core.call.notice import carrier_notice
from patter_core.call.token import CallToken, Consult
from patter_core.errors import CallError, WebhookRefused
from patter_core.events import CallEvent, CallPriced, RecordingChanged
from patter_core.server.bounded import BoundedDict
from patter_core.server.call_lines import turned_away
from patter_core.server.call_table import CallTable, EndedCall
from patter_core.server.consults import Consults
from patter_core.server.counts import Counts, TurnedAway
from patter_core.server.delivery import Delivery
from patter_core.server.launcher import CallLauncher
from patter_core.server.machines import Machines
from patter_core.server.routing import RouteAnswer
from patter_core.server.trunks import Trunk
from patter_core.server.urls import HOW_TO_SET, base_of
from patter_core.telephony.control import RecordingStatus, callback_token, webhook_root
from patter_core.telephony.leg import AnsweredBy, Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost
from patter_core.webhook import Accept, Reject, RoutedCall

__all__ = ["Route", "Router"]

_log = logging.getLogger("patter.host")

_EVENTS = 10_000
"""Ids of carriers' events that are remembered."""
_NO_KEYS = re.compile(r"[^0-9*#A-Da-d]")
_MOST_KEYS = 64
"""Of one webhook."""
_SHOWN = 40
"""Characters of a wrong carrier's name in the error."""

Route = Callable[[Leg], Awaitable[RouteAnswer]]


class Router:
    """Implements `CallRouter` for one carrier, and finds the call of each of its media sockets.

    Args:
        trunk: the carrier that asks and reports.
        config: the settings of the worker.
        table: the calls of the worker.
        launcher: starts calls.
        delivery: takes the records of calls that are over.
        consults: connect the callers of warm transfers.
        machines: take reports of who answered.
        counts: what the worker counts.
        route: returns who takes an incoming call; None rejects it.
        find_agent: returns an agent by name; None if this worker has none of that name.
    """

    def __init__(
        self,
        *,
        trunk: Trunk,
        config: HostConfig,
        table: CallTable,
        launcher: CallLauncher,
        delivery: Delivery,
        consults: Consults,
        machines: Machines,
        counts: Counts,
        route: Route,
        find_agent: Callable[[str], Agent | None],
    ) -> None:
        self.carrier = trunk.carrier
        self.tokens = trunk.tokens
        self.hang_ups = trunk.hang_ups
        self.config = config
        self.table = table
        self.launcher = launcher
        self.delivery = delivery
        self.consults = consults
        self.machines = machines
        self.counts = counts
        self.route = route
        self.find_agent = find_agent
        self.arrivals = KeyedLocks()
        """One for each leg whose arrival is being answered: its webhook may come twice at once."""
        self._events: BoundedDict[str, bool] = BoundedDict(_EVENTS)

    def call(self, leg: Leg, verified_url: str, token: str = "") -> RoutedCall:
        """As in `CallRouter`."""
        name = self.carrier.name
        if leg.carrier != name:
            raise CallError(
                "A webhook reports a call of another carrier.", expected=name, got=repr(leg.carrier[:_SHOWN])
            )
        text = token or callback_token(verified_url)
        if verified_url:
            leg = msgspec.structs.replace(leg, webhooks=webhook_root(base_of(verified_url), name))
        return _RoutedCall(self, leg, verified_url, self.tokens.read_callback(text))

    @contextlib.contextmanager
    def seen(self, event_id: str) -> Iterator[bool]:
        """As in `CallRouter`."""
        if event_id in self._events:
            yield True
            return
        self._events.put(event_id, True)  # before it is handled: it may be delivered twice at once
        try:
            yield False
        except BaseException:
            self._events.drop(event_id)
            raise

    def claim(self, stream_token: str) -> Call | None:
        """Returns the call that a media socket with this token may serve; None if the token is invalid or used.

        The call need not be known here: its webhook may have gone to another worker.
        """
        token = self.tokens.read_stream(stream_token)
        if token is None:
            return None
        call = self.table.get(token.call_id)
        if call is None:
            agent = self.find_agent(token.agent)
            if agent is None or self.table.draining or self.table.is_over(token.leg, token):
                return None
            if not self.config.several_workers and not token.streams:
                _log.error(
                    "Call %s arrived at another worker, or before this one started. If several workers take calls for "
                    "the same numbers, say so with Patter(several_workers=True) or PATTER_SEVERAL_WORKERS=1: otherwise "
                    "the other worker opens a conversation for nothing, and may hang the call up.",
                    token.call_id,
                )
            call = self.launcher.start(token, token.leg, agent)
            call.context.renew_accept()
        elif token.streams > call.context.token.streams:  # another worker was told that the stream before is over
            call.context.token = msgspec.structs.replace(token, recording_id=call.context.token.recording_id)
        self.tokens.use_stream(stream_token)
        self.table.stream_came(call, token.streams)
        return call

    def token_for(self, leg: Leg, routed: AgentForCall, url: str) -> CallToken | None:
        """Returns the token of a call for that agent; None, which the log explains, if it cannot take it."""
        if self.find_agent(routed.agent.name) is routed.agent:
            return self.tokens.routed(leg, routed, base_of(url))
        _log.error(
            "A call was routed to an agent “%s” that this phone has not made, and is rejected. Make it by "
            "phone.agent(name=…) when the program starts: other workers find the agent of a call by its name.",
            routed.agent.name,
        )
        return None

    def emit(self, leg: Leg, token: CallToken | None, event: CallEvent) -> None:
        """Records an event of a call that may be over, here or on another worker."""
        call = self.table.find(leg, token)
        if call is not None:
            call.context.emit(event)
            return
        ended = self.table.find_ended(leg, token) or (None if token is None else EndedCall.unknown(token.call_id))
        if ended is not None:
            self.delivery.put(ended.records.numbered(event))


class _RoutedCall:
    """Implements `patter_core.webhook.RoutedCall`."""

    def __init__(self, router: Router, leg: Leg, verified_url: str, token: CallToken | None) -> None:
        self._router = router
        self._table = router.table
        self._leg = leg
        self._verified_url = verified_url
        self._token = token

    @property
    def _call(self) -> Call | None:
        return self._table.find(self._leg, self._token)

    # --- what the carrier asks -------------------------------------------------------------------------------------

    async def arrived(self) -> Accept | Reject | Transfer:
        if self._consult is not None:  # it has no conversation: the carrier's plugin does not look at `briefing`
            return Reject()
        if (call := self._call) is None:
            async with self._router.arrivals.hold(self._leg.call_id):
                started = self._call or await self._start()
            if not isinstance(started, Call):
                return started
            call = started
        if is_answer := self._leg.direction is Direction.OUTBOUND:
            call.reports.note_progress(Progress.ANSWERED)
        accept = call.context.accept
        if accept is None or call.had_media or self._router.tokens.is_used(accept.token) or is_answer:
            return call.context.renew_accept()  # an Accept brings one stream: it came, or is as old as the ringing
        return accept

    @property
    def briefing(self) -> str:
        consult = self._consult
        return "" if consult is None else consult.brief

    async def briefed(self) -> None:
        token = self._token
        if token is None or token.consult is None:
            return
        with self._router.seen(f"{self._leg.call_id} briefed") as seen:
            if not seen:
                self._router.consults.briefed(self._leg, token)

    @property
    def _consult(self) -> Consult | None:
        return None if self._token is None else self._token.consult

    async def _start(self) -> Call | Accept | Reject | Transfer:
        """Starts the call if it is taken; an `Accept` leaves the start to the worker that gets the stream."""
        router, leg, token = self._router, self._leg, self._token
        ended = self._table.find_ended(leg, token)
        if ended is not None and (not ended.may_be_on_another_worker or (ended.was_left and token is None)):
            return Reject()
        self._table.refuse_if_draining()
        if token is None:
            routed = await self._route()
            if not isinstance(routed, CallToken):
                return routed
            token = routed
        agent = router.find_agent(token.agent)
        if agent is None:
            self._turn_away(TurnedAway.NO_AGENT)
            return Reject(reason="busy")
        if router.config.several_workers:
            return self._accept_for_any(token, notice=carrier_notice(agent, router.carrier))
        return router.launcher.start(token, leg, agent)

    def _accept_for_any(self, token: CallToken, *, notice: str = "") -> Accept:
        """Accepts a call whose stream may come to any worker. One that was dialled counts where it was."""
        accept = self._router.tokens.accept(msgspec.structs.replace(token, leg_id=self._leg.call_id), notice=notice)
        if token.streams or token.direction is Direction.INBOUND:
            self._table.reserve(self._leg, token, accept.notice)
        return accept

    async def _route(self) -> CallToken | Reject | Transfer:
        """Decides about a new call. Meanwhile the caller may hang up, and the worker be told to stop."""
        router, table, leg = self._router, self._table, self._leg
        if not self._verified_url:
            raise WebhookRefused(
                "The webhook does not prove at which address this server is reached.",
                remedy=f"Set it: {HOW_TO_SET}.",
            )
        if not table.take_new_call(leg):
            self._turn_away(TurnedAway.FULL)
            return Reject(reason="busy")
        reported = table.routing[leg.key] = []
        try:
            routed = await router.route(leg)
        finally:
            del table.routing[leg.key]
        if isinstance(routed, Transfer):
            self._turn_away(TurnedAway.TRANSFERRED)
            return routed
        if routed is None or isinstance(routed, Reject):
            self._turn_away(TurnedAway.NOT_ROUTED if routed is None else TurnedAway.REJECTED)
            table.give_back(leg)
            return routed or Reject()
        token = router.token_for(leg, AgentForCall(routed) if isinstance(routed, Agent) else routed, self._verified_url)
        if token is None:
            self._turn_away(TurnedAway.MISROUTED)
            table.give_back(leg)
            return Reject()
        table.refuse_if_draining()
        return Reject() if any(progress.is_final for progress in reported) else token

    def _turn_away(self, reason: TurnedAway) -> None:
        self._router.counts.turned_away[reason] += 1
        turned_away(self._leg, reason, live=len(self._table) + self._table.coming)

    async def stream_ended(self) -> Accept | HangUp | Transfer:
        call, token = self._call, self._token
        if self._consult is not None:
            return HangUp()
        if call is None:
            return self._stream_ended_elsewhere()
        is_earlier = token is not None and token.streams < call.context.token.streams
        if is_earlier and call.context.accept is not None and not call.is_over:
            return call.context.accept  # the call has, or awaits, a later stream
        return call.stream_ended(token)

    def _stream_ended_elsewhere(self) -> Accept | HangUp | Transfer:
        """The call is over, or another worker had it, which is gone."""
        router, leg, token = self._router, self._leg, self._token
        ended = self._table.find_ended(leg, token)
        if ended is not None and not ended.may_be_on_another_worker:
            if ended.final_action != HangUp():  # it is carried out now: to hang up later would cut it off
                router.hang_ups.forget(leg)
            return ended.final_action
        if token is None or router.find_agent(token.agent) is None:
            return HangUp()
        self._table.refuse_if_draining()
        following = token.after_loss(router.config.limits, lasted=max(0.0, time.time() - token.issued_at))
        if following is None:
            return HangUp()
        return self._accept_for_any(following)

    # --- what the carrier reports ----------------------------------------------------------------------------------

    async def progressed(self, progress: Progress) -> None:
        call = self._call
        if self._token is not None and self._token.consult is not None:
            self._router.consults.progressed(self._token, progress)
            return
        if progress.is_final:
            self._router.hang_ups.forget(self._leg)
            self._table.leg_ended(self._leg)
        if call is not None:
            call.reports.note_progress(progress)
        elif self._leg.key in self._table.routing:
            self._table.routing[self._leg.key].append(progress)
        elif self._token is not None and self._token.call_id in self._table.dialling:
            self._table.dialling[self._token.call_id].append(progress)

    async def answered_by(self, who: AnsweredBy) -> None:
        router, leg = self._router, self._leg
        with router.seen(f"{leg.call_id} {who}") as seen:
            if not seen and self._consult is None:
                await router.machines.reported(leg, self._token, who, router.emit)

    async def keys_pressed(self, digits: str) -> None:
        if (call := self._call) is not None:
            call.keys_pressed(_NO_KEYS.sub("", digits)[:_MOST_KEYS])

    async def recording_changed(self, status: RecordingStatus) -> None:
        self._emit_once(f"recording {status.recording_id} {status.status}", RecordingChanged(recording=status))

    async def priced(self, cost: Cost) -> None:
        self._emit_once(f"price {cost.amount} {cost.currency}", CallPriced(cost=cost))

    def _emit_once(self, what: str, event: CallEvent) -> None:
        if self._consult is not None:  # it belongs to a call that has a price and recordings of its own
            return
        with self._router.seen(f"{self._leg.call_id} {what}") as seen:
            if not seen:
                self._router.emit(self._leg, self._token, event)
