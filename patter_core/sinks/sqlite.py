"""Calls in an SQLite file: every record as it is, and a row for each call, to search by."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from patter_core.errors import SinkUnavailable
from patter_core.events import CallAnnounced, CallEnded, CallPriced, Record
from patter_core.sink import EventSink
from patter_core.storage.sqlite import open_database
from patter_core.threads import SerialThread

__all__ = ["SCHEMA", "SQLiteSink"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    id TEXT PRIMARY KEY,
    call_id TEXT NOT NULL,
    time REAL NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_of_call ON records (call_id, time, sequence);
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    started REAL NOT NULL,
    carrier TEXT NOT NULL DEFAULT '',
    direction TEXT NOT NULL DEFAULT '',
    from_number TEXT NOT NULL DEFAULT '',
    to_number TEXT NOT NULL DEFAULT '',
    agent TEXT NOT NULL DEFAULT '',
    ended REAL,
    reason TEXT NOT NULL DEFAULT '',
    ended_by TEXT NOT NULL DEFAULT '',
    duration_ms REAL NOT NULL DEFAULT 0,
    cost TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_start ON calls (started);
"""


class SQLiteSink(EventSink):
    """Writes all records into an SQLite file (WAL), which `patter calls` reads. A repeated record is stored once.

    Args:
        path: the file; by default `patter.db` in the current folder. Several workers may share one.
    """

    name: ClassVar[str] = "sqlite"

    def __init__(self, path: str | Path = "patter.db") -> None:
        self._path = Path(path)
        self._thread = SerialThread()
        self._database: sqlite3.Connection | None = None

    async def write(self, records: Sequence[Record]) -> None:
        try:
            await self._thread.run(self._insert, list(records))
        except sqlite3.OperationalError as error:  # locked, full, gone
            raise SinkUnavailable(f"{self._path.name} cannot be written: {error}.") from error

    async def aclose(self) -> None:
        await self._thread.run(self._close)

    def _insert(self, records: list[Record]) -> None:
        if self._database is None:
            self._database = open_database(self._path, SCHEMA)
        database = self._database
        with database:  # one transaction a batch
            for record in records:
                database.execute(
                    "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        record.id,
                        record.call_id,
                        record.time,
                        record.sequence,
                        record.event.kind,
                        msgspec.json.encode(record).decode(),
                    ),
                )
                _update_call(database, record)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _update_call(database: sqlite3.Connection, record: Record) -> None:
    """Updates the call's row."""
    match record.event:
        case CallAnnounced(leg=leg, agent=agent):
            database.execute(
                "INSERT INTO calls (call_id, started, carrier, direction, from_number, to_number, agent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (record.call_id, record.time, leg.carrier, leg.direction.value, leg.from_number, leg.to_number, agent),
            )
        case CallEnded(reason=reason, by=by, duration_ms=duration):
            database.execute(
                "INSERT INTO calls (call_id, started, ended, reason, ended_by, duration_ms) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET ended = excluded.ended, reason = excluded.reason,"
                " ended_by = excluded.ended_by, duration_ms = excluded.duration_ms",
                (record.call_id, record.time - record.elapsed_ms / 1000, record.time, reason, by, duration),
            )
        case CallPriced(cost=cost):
            database.execute(
                "UPDATE calls SET cost = ? WHERE call_id = ?", (f"{cost.amount} {cost.currency}", record.call_id)
            )
        case _:
            pass
