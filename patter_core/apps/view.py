"""What apps see of a phone: implements `PhoneView` over the worker."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

import anyio
import msgspec
from starlette.types import ASGIApp

from patter_core.app import CallSummary, FeedItem, LiveCall, PhoneHealth, PluginLine
from patter_core.apps.elsewhere import Elsewhere
from patter_core.apps.feed import Feed, Kept
from patter_core.apps.recent import RecentCalls
from patter_core.call.call import Call
from patter_core.call.carrier_wall import REQUEST_TIMEOUT, ask_carrier
from patter_core.call.config import HostConfig
from patter_core.carrier import Carrier
from patter_core.errors import CallError
from patter_core.events import CallAnnounced, Record
from patter_core.observe.masking import mask_address
from patter_core.observe.redaction import Redaction, Redactor
from patter_core.registry import Registry
from patter_core.server.agents import Agents
from patter_core.server.host import CallHost
from patter_core.server.launcher import phone_call
from patter_core.server.media_endpoint import MediaEndpoint
from patter_core.server.requests import Address
from patter_core.sink import EventSink
from patter_core.storage.archive import CallArchive, CallFilter, CallRow, SharedArchive
from patter_core.store import CallStore
from patter_core.telephony.control import Capability, webhook_root
from patter_core.telephony.leg import Leg
from patter_core.telephony.numbers import voice_path
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.webhook import Accept, CallRouter, Reject

__all__ = ["View"]

_LONGEST_CALL = 24 * 3600.0
"""Seconds after which a call without an end counts as lost."""
_SILENT_REPORTS = 4
"""So many reports of metrics that do not come mean that a call's worker died, and that no other one has the call."""
_SHOWN_AT_ONCE = 1_000
"""Live calls of other workers."""
_END_WITHIN = 5.0
"""Seconds that `hang_up` waits for a call of this worker to end."""


class View:
    """Implements `PhoneView`.

    Args:
        agents: of the phone.
        registry: its plugins.
        config: the settings of the worker.
        sinks: of the phone: the first that keeps calls gives the archive.
        base: the public address, or "".
        keep_raw: some visitor may see what redaction removes.
    """

    def __init__(
        self,
        agents: Agents,
        *,
        registry: Registry,
        config: HostConfig,
        sinks: Sequence[EventSink],
        base: str,
        keep_raw: bool,
    ) -> None:
        self._agents = agents
        self._registry = registry
        self._config = config
        self._base = base
        self._archive = next((archive for sink in sinks if (archive := sink.archive()) is not None), None)
        self._raw = Redactor(Redaction(numbers="none")) if keep_raw else None
        self._feed = Feed()
        self._recent = RecentCalls()
        self._elsewhere: Elsewhere | None = None
        if config.several_workers and isinstance(self._archive, SharedArchive):
            self._elsewhere = Elsewhere(self._archive, self._feed)
        self._host: CallHost | None = None

    # --- the worker ------------------------------------------------------------------------------------------------

    def attach(self, host: CallHost) -> None:
        """Sees this worker from now on."""
        self._host = host
        host.delivery.taps.append(self._take)
        host.on_taking_calls = self._open_or_close
        if self._elsewhere is not None:
            host.beside = self._elsewhere.run

    def close(self) -> None:
        """Ends the feeds: the worker stops, and servers wait for the connections of those who read them."""
        self._feed.close()

    def _open_or_close(self, takes_calls: bool) -> None:
        if takes_calls:
            self._feed.open()
        else:
            self.close()

    def _take(self, record: Record, redacted: Record, size: int) -> None:
        kept = Kept(redacted, None if self._raw is None else self._raw.apply(record), size)
        self._recent.put(kept)
        self._feed.put(kept)

    @property
    def _running(self) -> CallHost:
        if self._host is None:
            raise CallError("No server runs, so there are no calls.", remedy="Run serve().")
        return self._host

    # --- to look at ------------------------------------------------------------------------------------------------

    @property
    def carriers(self) -> Sequence[str]:
        """As in `PhoneView`; so are all others."""
        return () if self._host is None else tuple(self._host.trunks)

    @property
    def agents(self) -> Sequence[str]:
        return tuple(agent.name for agent in self._agents.agents)

    @property
    def plugins(self) -> Sequence[PluginLine]:
        return [
            PluginLine(
                plugin.name,
                plugin.distribution,
                plugin.version,
                tuple(f"{offer.kind.name} {offer.name}" for offer in plugin.offers),
                plugin.problem,
            )
            for plugin in self._registry.plugins
        ]

    @property
    def store(self) -> CallStore | None:
        return self._config.store

    @property
    def archive(self) -> CallArchive | None:
        return self._archive

    @property
    def recent(self) -> CallArchive:
        return self._recent

    @property
    def redaction(self) -> Redaction:
        return self._config.redaction

    @property
    def position(self) -> str:
        if self._elsewhere is not None:
            self._elsewhere.expect_reader()
        return self._feed.position

    def health(self) -> PhoneHealth:
        host = self._running
        return PhoneHealth(
            ready=host.table.is_ready,
            draining=host.table.draining,
            calls=len(host.table),
            calls_limit=min(self._config.limits.calls, host.table.room),
            several_workers=self._config.several_workers,
            sinks=tuple(host.delivery.figures()),
        )

    async def calls(self, *, unmasked: bool = False) -> Sequence[CallSummary]:
        here = [] if self._host is None else [self._summary(call, unmasked) for call in self._host.table.calls]
        if self._archive is None or not self._config.several_workers:
            return here
        known = {call.call_id for call in here}
        now, silent = time.time(), _SILENT_REPORTS * self._config.report_every
        rows = await self._archive.calls(
            CallFilter(ended=False, since=now - _LONGEST_CALL, active_since=now - silent, limit=_SHOWN_AT_ONCE)
        )
        return [*here, *(_elsewhere(row) for row in rows if row.call_id not in known)]

    def _summary(self, call: Call, unmasked: bool) -> CallSummary:
        leg, context = call.leg, call.context
        shown = unmasked and self._raw is not None
        mask = str if shown or self._config.redaction.numbers == "none" else mask_address
        return CallSummary(
            call_id=call.call_id,
            carrier=leg.carrier,
            direction=leg.direction.value,
            from_number=mask(leg.from_number),
            to_number=mask(leg.to_number),
            agent=context.token.agent,
            started=time.time() - (context.clock() - context.records.began_at),
            status=call.reports.progress.value,
            here=True,
        )

    def call(self, call_id: str) -> LiveCall | None:
        call = None if self._host is None else self._host.table.get(call_id)
        return None if call is None else phone_call(call)

    async def records(self, call_id: str, *, unmasked: bool = False) -> Sequence[Record]:
        kept = list(await self._archive.records(call_id)) if self._archive is not None else []
        merged = {record.id: record for record in kept}
        merged |= {record.id: record for record in self._recent.shown(call_id, unmasked=unmasked)}
        return sorted(merged.values(), key=lambda record: (record.time, record.sequence))

    def feed(self, after: str = "", *, unmasked: bool = False) -> AsyncIterator[FeedItem]:
        return self._feed.read(after, unmasked=unmasked)

    # --- to do -----------------------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        host = self._running
        call = host.table.get(call_id)
        if call is not None:
            call.hang_up()
            with anyio.move_on_after(_END_WITHIN):
                await call.wait()
            return
        leg = await self._leg_elsewhere(call_id)
        await ask_carrier(host.trunks[leg.carrier].carrier.hang_up, REQUEST_TIMEOUT, leg)

    async def transfer(self, call_id: str, to: str, *, say: str = "") -> None:
        host, transfer = self._running, Transfer(to, say)
        call = host.table.get(call_id)
        if call is not None:
            await call.actions.transfer(transfer, now=True)
            return
        leg = await self._leg_elsewhere(call_id)
        carrier = host.trunks[leg.carrier].carrier
        carrier.require(Capability.TRANSFER)
        host.destinations.take(to)
        await ask_carrier(carrier.transfer, REQUEST_TIMEOUT, leg, transfer)

    async def _leg_elsewhere(self, call_id: str) -> Leg:
        """Returns the leg of a live call of another worker, as the archive has it."""
        records = [] if self._archive is None else await self._archive.records(call_id)
        legs = [record.event.leg for record in records if isinstance(record.event, CallAnnounced)]
        if not legs or any(record.event.kind == "call_ended" for record in records):
            raise CallError(
                "No such call is live.",
                expected="a call of this worker, or one of another worker in a sink that both share, such as sqlite",
            )
        if legs[0].carrier not in self._running.trunks:
            raise CallError(f"This phone has no carrier {legs[0].carrier}, whose call this is.")
        leg = legs[0]
        return msgspec.structs.replace(leg, webhooks=webhook_root(self._base, leg.carrier)) if self._base else leg

    async def route(self, leg: Leg, base: str) -> Accept | Reject | Transfer:
        router = await self._router(leg.carrier)
        return await router.call(leg, base + voice_path(leg.carrier)).arrived()

    async def stream_ended(self, leg: Leg, base: str, token: str) -> Accept | HangUp | Transfer:
        router = await self._router(leg.carrier)
        return await router.call(leg, base + voice_path(leg.carrier), token).stream_ended()

    async def _router(self, carrier: str) -> CallRouter:
        self.carrier(carrier)
        await self._running.ensure_running()
        return self._running.routers[carrier]

    def carrier(self, name: str) -> Carrier:
        trunk = self._running.trunks.get(name)
        if trunk is None:
            raise CallError(f"This phone has no carrier {name}.", remedy="Give it to Patter(carrier=[…]).")
        return trunk.carrier

    def media(self, carrier: str) -> ASGIApp:
        self.carrier(carrier)
        return MediaEndpoint(self._running, carrier, Address("", trust_forwarded=False))


def _elsewhere(row: CallRow) -> CallSummary:
    return CallSummary(
        call_id=row.call_id,
        carrier=row.carrier,
        direction=row.direction,
        from_number=row.from_number,
        to_number=row.to_number,
        agent=row.agent,
        started=row.started,
        status="",
        here=False,
    )
