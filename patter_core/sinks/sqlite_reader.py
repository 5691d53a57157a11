"""Reads a file of the SQLite sink: its calls, and the records of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from patter_core.aio.threads import DaemonThreads
from patter_core.errors import ConfigurationError
from patter_core.events import Record
from patter_core.storage.archive import CallFilter, CallRow

__all__ = ["SQLiteArchive", "SQLiteReader"]

_Found = TypeVar("_Found")

_READERS = 4
"""How many may read for one archive at a time."""


class SQLiteReader:
    """Reads a file of `SQLiteSink`, also while it is being written.

    Raises:
        ConfigurationError: the file does not exist, or is not one of `SQLiteSink`.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if not self._path.is_file():
            raise ConfigurationError(
                f"{self._path.name} does not exist.",
                expected="a file of SQLiteSink",
                remedy="Give its path with --db, or in PATTER_DB.",
            )

    @property
    def is_new(self) -> bool:
        """True if the file has no tables yet: it is being made."""
        with self._open() as database:
            return database.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def calls(self, condition: CallFilter) -> list[CallRow]:
        """Returns the calls that meet the condition, the latest first."""
        where, values = _where(condition)
        fields = ", ".join(CallRow.__struct_fields__)
        query = f"SELECT {fields} FROM calls WHERE {where} ORDER BY started DESC LIMIT ?"  # noqa: S608 - our own text
        with self._open() as database:
            return [CallRow(*row) for row in database.execute(query, (*values, condition.limit))]

    def find(self, prefix: str) -> list[str]:
        """Returns the ids of calls that begin with the prefix, ten at most."""
        with self._open() as database:
            rows = database.execute(
                "SELECT call_id FROM calls WHERE substr(call_id, 1, ?) = ? LIMIT 10", (len(prefix), prefix)
            )
            return [str(call_id) for (call_id,) in rows]

    def records(self, call_id: str) -> list[Record]:
        """Returns the records of a call, in order. Events that this version does not know are left out."""
        with self._open() as database:
            rows = database.execute(
                "SELECT record FROM records WHERE call_id = ? ORDER BY time, sequence", (call_id,)
            ).fetchall()
        return [record for (raw,) in rows if (record := _read(raw)) is not None]

    def of_kinds(self, kinds: Sequence[str], *, since: float, limit: int) -> list[Record]:
        """Returns records of all calls by the tags of their events, from `since` (Unix s) on, in order of their time.

        Of more than `limit`, they are the latest.
        """
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT record FROM records WHERE kind IN ({marks}) AND time >= ? ORDER BY time DESC LIMIT ?"  # noqa: S608 - our own text
        with self._open() as database:
            rows = database.execute(query, (*kinds, since, limit)).fetchall()
        return [record for (raw,) in reversed(rows) if (record := _read(raw)) is not None]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        database.create_function("casefold", 1, str.casefold, deterministic=True)
        try:
            yield database
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"{self._path.name} cannot be read: {error}.", expected="a file of SQLiteSink"
            ) from error
        finally:
            database.close()


def _where(condition: CallFilter) -> tuple[str, list[str | float]]:
    """Returns the text of a WHERE clause, and its values."""
    terms, values = ["1"], list[str | float]()
    for field in ("agent", "carrier", "direction", "reason"):
        value: str = getattr(condition, field)
        if value:
            terms.append(f"{field} = ?")
            values.append(value)
    if condition.since is not None:
        terms.append("started >= ?")
        values.append(condition.since)
    if condition.before is not None:
        terms.append("started < ?")
        values.append(condition.before)
    if condition.ended is not None:
        terms.append("ended IS NOT NULL" if condition.ended else "ended IS NULL")
    if condition.number:
        terms.append("(instr(from_number, ?) OR instr(to_number, ?))")
        values += [condition.number] * 2
    if condition.text:
        terms.append(
            "EXISTS (SELECT 1 FROM records WHERE records.call_id = calls.call_id AND kind LIKE 'transcript%'"
            " AND instr(casefold(json_extract(record, '$.event.text')), ?))"
        )
        values.append(condition.text.casefold())
    return " AND ".join(terms), values


def _read(raw: str) -> Record | None:
    try:
        return msgspec.json.decode(raw, type=Record)
    except msgspec.ValidationError:
        return None


class SQLiteArchive:
    """A `CallArchive` of a file of `SQLiteSink`. A file that does not exist yet holds no calls."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = DaemonThreads(_READERS)

    async def calls(self, condition: CallFilter) -> Sequence[CallRow]:
        """As in `CallArchive`."""
        return await self._read(lambda reader: reader.calls(condition))

    async def records(self, call_id: str) -> Sequence[Record]:
        """As in `CallArchive`."""
        return await self._read(lambda reader: reader.records(call_id))

    async def of_kinds(self, kinds: Sequence[str], *, since: float, limit: int) -> Sequence[Record]:
        """As in `CallArchive`."""
        return await self._read(lambda reader: reader.of_kinds(kinds, since=since, limit=limit))

    async def _read(self, ask: Callable[[SQLiteReader], Sequence[_Found]]) -> Sequence[_Found]:
        def read() -> Sequence[_Found]:
            if not self._path.is_file():
                return ()
            reader = SQLiteReader(self._path)
            return () if reader.is_new else ask(reader)

        return await self._threads.run(read)
