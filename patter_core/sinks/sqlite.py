"""Calls in an SQLite file: every record as it is, and rows for each call, to search by."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

import anyio
import msgspec

from patter_core.aio.threads import SerialThread
from patter_core.checks import CheckResult, checked
from patter_core.config import check_arguments
from patter_core.errors import ConfigurationError
from patter_core.events import (
    CallAnnounced,
    CallEnded,
    CallPriced,
    Record,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    TurnTimings,
)
from patter_core.observe.metrics import costs_of
from patter_core.observe.terminal import counted
from patter_core.sink import EventSink, WorkerStatistics
from patter_core.sinks.sqlite_reader import SQLiteArchive
from patter_core.sinks.sqlite_schema import SCHEMA
from patter_core.storage.archive import CallArchive, amounts_of
from patter_core.storage.sqlite import Database

__all__ = ["SQLiteSink"]

_TABLES = ("records", "calls", "said", "stages", "bills")
_OLD_CALLS = """
SELECT call_id FROM calls
WHERE started < ? AND (SELECT COALESCE(MAX(time), 0) FROM records WHERE records.call_id = calls.call_id) < ?
ORDER BY started LIMIT ?
"""
_DAY = 86_400.0
_DELETE_EVERY = 3600.0
"""Seconds between two looks for calls that are too old."""
_AT_ONCE = 50
"""Calls that are deleted in one transaction, so that no write waits long."""
_BETWEEN = 0.1


class SQLiteSink(EventSink):
    """Writes all records into an SQLite file (WAL), which `patter calls` reads. A repeated record is stored once.

    Args:
        path: the file; by default `patter.db` in the current folder. Several workers may share one.
        keep: days for which a call is kept after its last record; None keeps all. The room of deleted calls is used
            again, so that the file does not grow; it does not shrink either. What other sinks keep of
            them stays.

    Raises:
        ConfigurationError: `keep` is not above 0.
    """

    name: ClassVar[str] = "sqlite"

    @check_arguments
    def __init__(self, path: str | Path = "patter.db", *, keep: float | None = None) -> None:
        if keep is not None and not keep > 0:
            raise ConfigurationError("SQLiteSink(keep=…) is out of range.", expected="days above 0", got=f"{keep:g}")
        self._path = self.path = Path(path)
        self._keep = keep
        self._thread = SerialThread()
        self._database = Database(Path(path), SCHEMA)

    async def write(self, records: Sequence[Record]) -> None:
        await self._thread.run(self._insert, list(records))

    async def run(self, statistics: WorkerStatistics) -> None:
        while self._keep is not None:
            more = await self._thread.run(self._delete, time.time() - self._keep * _DAY)
            await anyio.sleep(_BETWEEN if more else _DELETE_EVERY)

    def archive(self) -> CallArchive:
        return SQLiteArchive(self._path)

    async def erase(self, call_ids: Collection[str]) -> Sequence[str] | None:
        erased = await self._thread.run(self._erase, list(call_ids))
        return [f"{counted(erased, 'call')} in {self._path}"] if erased else []

    async def aclose(self) -> None:
        await self._thread.run(self._database.close)

    async def check(self) -> Sequence[CheckResult]:
        return await checked(self._thread.run(self._database.check), f"{self._path} can be written.")

    def _delete(self, before: float) -> bool:
        """Deletes some calls whose last record is older. Returns False if there are no more."""
        with self._database.transaction() as database:
            calls = database.execute(_OLD_CALLS, (before, before, _AT_ONCE)).fetchall()
            _delete_calls(database, calls)
        return bool(calls)

    def _erase(self, call_ids: list[str]) -> int:
        """Erases calls. Returns how many were there."""
        if not self._path.exists():
            return 0
        erased = 0
        for start in range(0, len(call_ids), _AT_ONCE):
            with self._database.transaction() as database:
                erased += _delete_calls(database, [(call_id,) for call_id in call_ids[start : start + _AT_ONCE]])
        self._database.purge()
        return erased

    def _insert(self, records: list[Record]) -> None:
        with self._database.transaction() as database:
            for record in records:
                added = database.execute(
                    "INSERT OR IGNORE INTO records (id, call_id, time, sequence, kind, record)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        record.id,
                        record.call_id,
                        record.time,
                        record.sequence,
                        record.event.kind,
                        msgspec.json.encode(record).decode(),
                    ),
                )
                if added.rowcount:  # else it has come again
                    _update_call(database, record)


def _delete_calls(database: sqlite3.Connection, calls: Sequence[tuple[str]]) -> int:
    """Deletes all rows of these calls. Returns how many calls there were."""
    found = 0
    for table in _TABLES:
        rows = database.executemany(f"DELETE FROM {table} WHERE call_id = ?", calls).rowcount  # noqa: S608 - our own names
        found = rows if table == "calls" else found
    return found


def _update_call(database: sqlite3.Connection, record: Record) -> None:
    """Updates the rows of the call by a record that is new."""
    match record.event:
        case CallAnnounced(leg=leg, agent=agent):
            database.execute(
                "INSERT INTO calls (call_id, started, carrier, direction, from_number, to_number, agent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (record.call_id, record.time, leg.carrier, leg.direction.value, leg.from_number, leg.to_number, agent),
            )
        case TranscriptInput(text=text) | TranscriptOutput(text=text) | TranscriptCorrection(text=text):
            database.execute(
                "INSERT INTO said VALUES (?, ?) ON CONFLICT DO UPDATE SET text = text || char(10) || excluded.text",
                (record.call_id, text.casefold()),
            )
        case TurnTimings(turn=turn, stages_ms=stages):
            database.executemany(
                "INSERT OR REPLACE INTO stages VALUES (?, ?, ?, ?, ?)",
                [(record.call_id, record.time, turn, stage, ms) for stage, ms in stages.items()],
            )
        case CallEnded() as ended:
            _end_call(database, record, ended)
        case CallPriced(cost=cost):
            database.execute("UPDATE calls SET cost = ? WHERE call_id = ?", (amounts_of([cost]), record.call_id))
        case _:
            pass


def _end_call(database: sqlite3.Connection, record: Record, ended: CallEnded) -> None:
    metrics = ended.metrics
    database.execute(
        "INSERT INTO calls (call_id, started, ended, reason, ended_by, duration_ms, reply_ms, engine_cost)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ended = excluded.ended, reason = excluded.reason,"
        " ended_by = excluded.ended_by, duration_ms = excluded.duration_ms, reply_ms = excluded.reply_ms,"
        " engine_cost = excluded.engine_cost",
        (
            record.call_id,
            record.time - record.elapsed_ms / 1000,
            record.time,
            ended.reason,
            ended.by,
            ended.duration_ms,
            None if metrics.speech_reply is None else metrics.speech_reply.p50_ms,
            amounts_of(costs_of(metrics.engine_bills)),
        ),
    )
    database.executemany(
        "INSERT OR REPLACE INTO bills VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                record.call_id,
                bill.part,
                bill.vendor,
                bill.model,
                msgspec.json.encode(bill.amounts).decode(),
                "" if bill.cost is None else amounts_of([bill.cost]),
            )
            for bill in metrics.engine_bills
        ],
    )
    if (bill := metrics.carrier_bill) is not None:
        database.execute(
            "INSERT OR REPLACE INTO bills SELECT call_id, 'carrier', carrier, '', ?, ? FROM calls WHERE call_id = ?",
            (msgspec.json.encode({"minutes": bill.minutes}).decode(), amounts_of([bill.cost]), record.call_id),
        )
