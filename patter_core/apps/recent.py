"""The latest calls of a worker in memory, with all their records: a `CallArchive` for where no sink keeps any."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio.lowlevel
import msgspec

from patter_core.apps.feed import Kept
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallPriced,
    Record,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.observe.metrics import costs_of, unpriced_of
from patter_core.storage.archive import CallFilter, CallRow, amounts_of

__all__ = ["RecentCalls"]

_CALLS = 500
_MAX_BYTES = 32_000_000
_AT_ONCE = 16
"""Calls that are looked at before the event loop goes on."""
_OF_A_CALL = 5_000
"""Records that are kept of one call; of more, the first are dropped, but for the announcement."""


class _Recent(msgspec.Struct):
    row: CallRow
    kept: list[Kept]
    size: int = 0


class RecentCalls:
    """Keeps calls until there is no room; then the one that ended first goes, or the oldest.

    Args:
        calls: the most calls.
        max_bytes: of all their records.
    """

    def __init__(self, calls: int = _CALLS, max_bytes: int = _MAX_BYTES) -> None:
        self._limit = calls
        self._max_bytes = max_bytes
        self._calls: dict[str, _Recent] = {}
        self._bytes = 0

    def put(self, kept: Kept) -> None:
        """Adds a record to its call."""
        record = kept.redacted
        call = self._calls.get(record.call_id)
        if call is None:
            call = self._calls[record.call_id] = _Recent(_new_row(record), [])
        call.row = _updated(call.row, record)
        call.kept.append(kept)
        self._count(call, kept.size)
        if len(call.kept) > _OF_A_CALL:
            self._count(call, -call.kept.pop(1).size)
        while len(self._calls) > 1 and (len(self._calls) > self._limit or self._bytes > self._max_bytes):
            self._drop_one()

    def _count(self, call: _Recent, size: int) -> None:
        call.size += size
        self._bytes += size

    def _drop_one(self) -> None:
        ended = (call_id for call_id, call in self._calls.items() if call.row.ended is not None)
        self._bytes -= self._calls.pop(next(ended, next(iter(self._calls)))).size

    def shown(self, call_id: str, *, unmasked: bool) -> list[Record]:
        """Returns the records of a call."""
        call = self._calls.get(call_id)
        return [] if call is None else [kept.shown(unmasked=unmasked) for kept in call.kept]

    async def _each(self) -> AsyncIterator[_Recent]:
        """Yields all calls; between every few of them, the event loop goes on."""
        for number, call in enumerate(list(self._calls.values()), 1):
            yield call
            if number % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()

    async def calls(self, condition: CallFilter) -> Sequence[CallRow]:
        """As in `CallArchive`."""
        found = [call.row async for call in self._each() if _meets(call, condition)]
        return sorted(found, key=lambda row: (row.started, row.call_id), reverse=True)[: condition.limit]

    async def records(self, call_id: str) -> Sequence[Record]:
        """As in `CallArchive`."""
        return self.shown(call_id, unmasked=False)

    async def of_kinds(self, kinds: Sequence[str], *, since: float, limit: int) -> Sequence[Record]:
        """As in `CallArchive`."""
        wanted = frozenset(kinds)
        found = [
            kept.redacted
            async for call in self._each()
            for kept in call.kept
            if kept.redacted.event.kind in wanted and kept.redacted.time >= since
        ]
        return sorted(found, key=lambda record: record.time)[-limit:]


def _new_row(record: Record) -> CallRow:
    return CallRow(
        call_id=record.call_id,
        started=record.time - record.elapsed_ms / 1000,
        carrier="",
        direction="",
        from_number="",
        to_number="",
        agent="",
        ended=None,
        reason="",
        ended_by="",
        duration_ms=0.0,
        reply_ms=None,
        engine_cost="",
        cost="",
    )


def _updated(row: CallRow, record: Record) -> CallRow:
    match record.event:
        case CallAnnounced(leg=leg, agent=agent):
            return msgspec.structs.replace(
                row,
                carrier=leg.carrier,
                direction=leg.direction.value,
                from_number=leg.from_number,
                to_number=leg.to_number,
                agent=agent,
            )
        case CallEnded(reason=reason, by=by, duration_ms=duration, metrics=metrics):
            return msgspec.structs.replace(
                row,
                ended=record.time,
                reason=reason,
                ended_by=by,
                duration_ms=duration,
                reply_ms=None if metrics.speech_reply is None else metrics.speech_reply.p50_ms,
                engine_cost=amounts_of(costs_of(metrics.engine_bills)),
                unpriced=unpriced_of(metrics.engine_bills),
                estimated_cost="" if metrics.carrier_bill is None else amounts_of([metrics.carrier_bill.cost]),
            )
        case CallPriced(cost=cost):
            return msgspec.structs.replace(row, cost=amounts_of([cost]))
        case _:
            return row


def _meets(call: _Recent, condition: CallFilter) -> bool:
    row = call.row
    same = all(
        getattr(condition, field) in {"", getattr(row, field)} for field in ("agent", "carrier", "direction", "reason")
    )
    return (
        same
        and (condition.since is None or row.started >= condition.since)
        and (condition.before is None or (row.started, row.call_id) < (condition.before, condition.before_id))
        and (condition.ended is None or (row.ended is not None) == condition.ended)
        and (condition.active_since is None or call.kept[-1].redacted.time >= condition.active_since)
        and (condition.number in row.from_number or condition.number in row.to_number)
        and (not condition.text or _has_said(call, condition.text.casefold()))
    )


def _has_said(call: _Recent, text: str) -> bool:
    said = (TranscriptInput, TranscriptOutput, TranscriptCorrection)
    return any(
        isinstance(kept.redacted.event, said) and text in kept.redacted.event.text.casefold() for kept in call.kept
    )
