"""Figures of many calls: by day, by number, by the reason of their end. Sans-IO."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable

import msgspec

from patter_core.events import CallEnded, Record
from patter_core.observe.metrics import CallMetrics, Latency
from patter_core.storage.archive import CallRow
from patter_core.telephony.outcome import FAILURES
from patter_core.telephony.prices import Cost, sum_costs

__all__ = ["Day", "Figures", "NumberLine", "figures_of"]

_DAY = 86_400.0
_NUMBERS = 50
"""Lines of numbers, the busiest first."""


class Day(msgspec.Struct, kw_only=True):
    """The calls that began on one day."""

    date: dt.date
    calls: int = 0
    outbound: int = 0
    failed: int = 0
    """Ended because the engine, or Patter, failed the caller."""
    minutes: float = 0.0
    answer: Latency | None = None
    """How long calls rang."""
    reply: Latency | None = None
    """From the end of the caller's speech to the agent's first audio; else from the report of what they said."""
    costs: tuple[Cost, ...] = ()
    """By currency: of carrier and engine, the carrier's own price where it is known."""
    unpriced: str = ""
    """What is not in them: as `CallRow.missing`, of all calls."""


class NumberLine(msgspec.Struct, kw_only=True):
    """The calls of one of the phone's numbers."""

    number: str
    calls: int = 0
    failed: int = 0
    minutes: float = 0.0
    costs: tuple[Cost, ...] = ()
    unpriced: str = ""
    """What is not in them: as `CallRow.missing`, of all calls."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, the earliest day first."""

    days: list[Day]
    numbers: list[NumberLine]
    reasons: dict[str, int]
    total: Day
    complete: bool
    """False if there are more calls than were counted."""


class _Group:
    """Calls that are counted together."""

    def __init__(self) -> None:
        self.rows: list[CallRow] = []
        self.metrics: list[CallMetrics] = []
        self._costs: list[Cost] = []
        self._unpriced: set[str] = set()

    def add(self, row: CallRow, costs: Iterable[Cost], metrics: CallMetrics | None) -> None:
        self.rows.append(row)
        self._costs.extend(costs)
        self._unpriced.update(part for part in row.missing.split(", ") if part)
        if metrics is not None:
            self.metrics.append(metrics)

    def day(self, date: dt.date) -> Day:
        return Day(
            date=date,
            calls=len(self.rows),
            outbound=sum(row.direction == "outbound" for row in self.rows),
            failed=self.failed,
            minutes=self.minutes,
            answer=Latency.of(one.answer_ms for one in self.metrics if one.answer_ms is not None),
            reply=Latency.of(ms for one in self.metrics for ms in one.speech_reply_ms or one.reply_ms),
            costs=self.costs,
            unpriced=self.unpriced,
        )

    def line(self, number: str) -> NumberLine:
        return NumberLine(
            number=number,
            calls=len(self.rows),
            failed=self.failed,
            minutes=self.minutes,
            costs=self.costs,
            unpriced=self.unpriced,
        )

    @property
    def costs(self) -> tuple[Cost, ...]:
        return sum_costs(self._costs)

    @property
    def unpriced(self) -> str:
        return ", ".join(sorted(self._unpriced))

    @property
    def failed(self) -> int:
        return sum(row.reason in FAILURES for row in self.rows)

    @property
    def minutes(self) -> float:
        return round(sum(row.duration_ms for row in self.rows) / 60_000, 2)


def figures_of(
    rows: Iterable[CallRow], ends: Iterable[Record], *, since: float, until: float, offset: float, complete: bool = True
) -> Figures:
    """Returns the figures.

    Args:
        rows: the calls.
        ends: their `CallEnded`.
        since: the first day's beginning, Unix s.
        until: now, Unix s.
        offset: seconds that the visitor's clock is ahead of UTC.
        complete: False if there are more calls.
    """
    metrics = {record.call_id: record.event.metrics for record in ends if isinstance(record.event, CallEnded)}
    days = {number: _Group() for number in range(_day(since, offset), _day(until, offset) + 1)}
    numbers: dict[str, _Group] = {}
    total = _Group()
    for row in rows:
        ours = row.from_number if row.direction == "outbound" else row.to_number
        day, costs = days.get(_day(row.started, offset)), row.costs
        for group in (total, numbers.setdefault(ours, _Group()), *(() if day is None else (day,))):
            group.add(row, costs, metrics.get(row.call_id))
    lines = sorted((group.line(number) for number, group in numbers.items()), key=lambda line: -line.calls)
    return Figures(
        days=[group.day(_date(number)) for number, group in days.items()],
        numbers=lines[:_NUMBERS],
        reasons=dict(Counter(row.reason for row in total.rows if row.reason).most_common()),
        total=total.day(_date(_day(until, offset))),
        complete=complete,
    )


def _day(time: float, offset: float) -> int:
    return int((time + offset) // _DAY)


def _date(number: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=number)
