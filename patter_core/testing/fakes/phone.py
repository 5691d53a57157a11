"""A phone as an app sees it, whose calls a test makes up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from patter_core.app import CallSummary, FeedItem, LiveCall, PhoneHealth, PluginLine
from patter_core.apps.feed import Feed, Kept
from patter_core.apps.recent import RecentCalls
from patter_core.carrier import Carrier
from patter_core.errors import CallError
from patter_core.events import CallEnded, Record
from patter_core.observe.redaction import Redaction
from patter_core.sink import SinkFigures
from patter_core.storage.archive import CallArchive, CallFilter
from patter_core.store import CallStore
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.webhook import Accept, Reject

__all__ = ["FakeLiveCall", "FakePhone"]

_SIZE = 1_000


class FakeLiveCall:
    """A live call that notes what it is told. Implements `LiveCall`."""

    def __init__(self, call_id: str, leg: Leg) -> None:
        self.id = call_id
        self.leg = leg
        self.status = Progress.ANSWERED
        self.ended: CallEnded | None = None
        self.context: list[str] = []
        """What the agent was told."""

    async def wait(self) -> CallEnded:
        """It does not end by itself."""
        raise CallError("This call has no end.")

    async def hang_up(self, *, now: bool = False) -> CallEnded | None:
        """Does nothing."""
        return None

    async def transfer(self, to: str, *, say: str = "", now: bool = False) -> CallEnded | None:
        """Does nothing."""
        return None

    def add_context(self, text: str) -> None:
        """Notes the text."""
        self.context.append(text)


class FakePhone:
    """Implements `PhoneView`. A test puts records, and looks at what was done."""

    def __init__(self) -> None:
        self.carriers: Sequence[str] = ("fake",)
        self.carrier_of: dict[str, Carrier] = {}
        """What `carrier` returns, by name."""
        self.routed: list[Leg] = []
        """The calls that came by the app."""
        self.answer: Accept | Reject | Transfer = Reject()
        """What `route` returns."""
        self.at_stream_end: Accept | HangUp | Transfer = HangUp()
        """What `stream_ended` returns."""
        self.agents: Sequence[str] = ("agent",)
        self.plugins: Sequence[PluginLine] = (PluginLine("fake", "patter-fake", "1.0", ("carrier fake",)),)
        self.store: CallStore | None = None
        self.archive: CallArchive | None = None
        self.redaction = Redaction()
        self.recent_calls = RecentCalls()
        self.ring = Feed()
        self.live: dict[str, FakeLiveCall] = {}
        self.hung_up: list[str] = []
        """The ids of calls, in order."""
        self.transferred: list[tuple[str, str]] = []
        """The id of each call, and where to."""
        self.sinks: tuple[SinkFigures, ...] = ()

    def put(self, record: Record, raw: Record | None = None) -> None:
        """A record of a call, as sinks get it, and as it is."""
        kept = Kept(record, raw, _SIZE)
        self.recent_calls.put(kept)
        self.ring.put(kept)

    @property
    def recent(self) -> CallArchive:
        """As in `PhoneView`; so are all below."""
        return self.recent_calls

    @property
    def position(self) -> str:
        return self.ring.position

    def health(self) -> PhoneHealth:
        return PhoneHealth(
            ready=True, draining=False, calls=len(self.live), calls_limit=500, several_workers=False, sinks=self.sinks
        )

    async def calls(self, *, unmasked: bool = False) -> Sequence[CallSummary]:
        return [
            CallSummary(
                call_id=row.call_id,
                carrier=row.carrier,
                direction=row.direction,
                from_number=row.from_number,
                to_number=row.to_number,
                agent=row.agent,
                started=row.started,
                status="answered",
                here=row.call_id in self.live,
            )
            for row in await self.recent_calls.calls(CallFilter(ended=False, limit=1_000))
        ]

    def call(self, call_id: str) -> LiveCall | None:
        return self.live.get(call_id)

    async def records(self, call_id: str, *, unmasked: bool = False) -> Sequence[Record]:
        return self.recent_calls.shown(call_id, unmasked=unmasked)

    def feed(self, after: str = "", *, unmasked: bool = False) -> AsyncIterator[FeedItem]:
        return self.ring.read(after, unmasked=unmasked)

    async def hang_up(self, call_id: str) -> None:
        self._require(call_id)
        self.hung_up.append(call_id)

    async def transfer(self, call_id: str, to: str, *, say: str = "") -> None:
        Transfer(to, say)
        self._require(call_id)
        self.transferred.append((call_id, to))

    def _require(self, call_id: str) -> None:
        if call_id not in self.live:
            raise CallError("No such call is live.")

    async def route(self, leg: Leg, base: str) -> Accept | Reject | Transfer:
        self.routed.append(leg)
        return self.answer

    async def stream_ended(self, leg: Leg, base: str, token: str) -> Accept | HangUp | Transfer:
        return self.at_stream_end

    def carrier(self, name: str) -> Carrier:
        if name not in self.carrier_of:
            raise CallError(f"This phone has no carrier {name}.")
        return self.carrier_of[name]

    def media(self, carrier: str) -> ASGIApp:
        async def closed(_scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

        return closed
