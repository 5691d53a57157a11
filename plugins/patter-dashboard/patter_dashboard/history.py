"""The calls of the past, one call, the figures, and how the worker is: as JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from patter_core.aio.pieces import in_pieces
from patter_core.aio.threads import DaemonThreads
from patter_core.app import PhoneHealth, PhoneView, PluginLine, visitor_of
from patter_core.events import CallEnded, Record
from patter_core.storage.archive import CallArchive, CallFilter, CallRow
from patter_dashboard.answers import failed, json_answer, number_in, with_errors
from patter_dashboard.figures import figures_of
from patter_dashboard.recordings import Recordings

__all__ = ["History"]

_PAGE = 50
_MOST_AT_ONCE = 200
_MOST_COUNTED = 20_000
"""Calls of which figures are made."""
_AT_ONCE = 1
"""Figures that are counted at a time: of many calls that takes a while."""
_DAY = 86_400.0
_LATEST = 1e11
_LONGEST_TEXT = 200


class CallPage(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    id: str
    records: list[Record]
    is_live: bool
    is_here: bool
    """This worker has it."""
    actions: bool
    recordings: int
    """How many can be played."""
    position: str
    """From where the feed goes on."""


class System(msgspec.Struct, frozen=True, kw_only=True):
    """How the worker is, and what is installed."""

    health: PhoneHealth
    carriers: list[str]
    agents: list[str]
    plugins: list[PluginLine]
    has_archive: bool
    store: str
    redaction: dict[str, object]
    user: str
    unmasked: bool


class History:
    """Answers from the archive of a sink, else from the worker's memory.

    Args:
        phone: whose calls they are.
        recordings: of the calls.
        actions: the visitor may act on live calls.
    """

    def __init__(self, phone: PhoneView, recordings: Recordings, *, actions: bool) -> None:
        self._phone = phone
        self._recordings = recordings
        self._actions = actions
        self._threads = DaemonThreads(_AT_ONCE)

    @property
    def _archive(self) -> CallArchive:
        return self._phone.archive or self._phone.recent

    @with_errors
    async def calls(self, request: Request) -> Response:
        """A page of calls that meet the query's conditions."""
        query = request.query_params
        limit = int(number_in(request, "limit", _PAGE, least=1, most=_MOST_AT_ONCE) or _PAGE)

        def text(name: str) -> str:
            return query.get(name, "").strip()[:_LONGEST_TEXT]

        condition = CallFilter(
            since=number_in(request, "since", None, least=0, most=_LATEST),
            before=number_in(request, "before", None, least=0, most=_LATEST),
            before_id=text("before_id"),
            limit=limit + 1,
            agent=text("agent"),
            carrier=text("carrier"),
            direction=text("direction"),
            reason=text("reason"),
            number=text("number"),
            text=text("text"),
        )
        rows = await self._archive.calls(condition)
        return json_answer(
            {
                "calls": rows[:limit],
                "has_more": len(rows) > limit,
                "lasting": self._phone.archive is not None,
                "carriers": _with_those_of(rows, self._phone.carriers, "carrier"),
                "agents": _with_those_of(rows, self._phone.agents, "agent"),
            }
        )

    @with_errors
    async def call(self, request: Request) -> Response:
        """One call, with all its records."""
        call_id = request.path_params["id"]
        unmasked = visitor_of(request.scope).unmasked
        position = self._phone.position  # before the records: what comes meanwhile may come twice, and is not missed
        records = list(await self._phone.records(call_id, unmasked=unmasked))
        if not records:
            return failed(404, "No such call is known.")
        is_here = self._phone.call(call_id) is not None
        ended = any(isinstance(record.event, CallEnded) for record in records)
        is_live = not ended and (is_here or any(call.call_id == call_id for call in await self._phone.calls()))
        return json_answer(
            CallPage(
                id=call_id,
                records=records,
                is_live=is_live,
                is_here=is_here,
                actions=self._actions,
                recordings=len(self._recordings.of(records, unmasked=unmasked)),
                position=position,
            )
        )

    @with_errors
    async def figures(self, request: Request) -> Response:
        """Figures of the last days, today included."""
        days = number_in(request, "days", 7, least=1, most=366) or 7
        offset = (number_in(request, "offset", 0, least=-900, most=900) or 0) * 60
        now = time.time()
        since = (now + offset) // _DAY * _DAY - offset - (int(days) - 1) * _DAY
        rows: list[CallRow] = list(await self._archive.calls(CallFilter(since=since, limit=_MOST_COUNTED + 1)))
        ends = await self._archive.of_kinds([_END], since=since, limit=_MOST_COUNTED)
        complete = len(rows) <= _MOST_COUNTED
        counted, told = in_pieces(rows[:_MOST_COUNTED]), in_pieces(ends)
        figures = await self._threads.run(
            figures_of, counted, told, since=since, until=now, offset=offset, complete=complete
        )
        return json_answer(figures)

    @with_errors
    async def system(self, request: Request) -> Response:
        """How the worker is."""
        phone, visitor = self._phone, visitor_of(request.scope)
        return json_answer(
            System(
                health=phone.health(),
                carriers=list(phone.carriers),
                agents=list(phone.agents),
                plugins=list(phone.plugins),
                has_archive=phone.archive is not None,
                store="" if phone.store is None else phone.store.name,
                redaction=msgspec.structs.asdict(phone.redaction),
                user=visitor.user,
                unmasked=visitor.unmasked,
            )
        )


_END = str(CallEnded.__struct_config__.tag)


def _with_those_of(rows: Sequence[CallRow], names: Sequence[str], field: str) -> list[str]:
    """Returns the phone's names, and those that only calls have: of a carrier or an agent that it had once."""
    found: set[str] = {getattr(row, field) for row in rows}
    return [*names, *sorted(found - {"", *names})]
