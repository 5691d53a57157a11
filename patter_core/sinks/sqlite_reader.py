"""Reads a file of the SQLite sink: its calls, and the records of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from patter_core.aio.pieces import in_pieces
from patter_core.aio.threads import DaemonThreads
from patter_core.errors import ConfigurationError
from patter_core.events import Record
from patter_core.observe.masking import mask_address
from patter_core.sinks.sqlite_schema import SCHEMA
from patter_core.storage.archive import CallFilter, CallRow, Latest
from patter_core.storage.sqlite import LogUnmerged, identify, is_of_another_file, open_to_read, passes

__all__ = ["SQLiteArchive", "SQLiteReader", "list_query"]

_Found = TypeVar("_Found")

_ESTIMATE = "(SELECT cost FROM bills WHERE bills.call_id = calls.call_id AND part = 'carrier')"
_UNPRICED = (
    "(SELECT group_concat(part, ', ') FROM (SELECT DISTINCT vendor || ' ' || part AS part FROM bills"
    " WHERE bills.call_id = calls.call_id AND cost = '' ORDER BY 1))"
)
_COMPUTED = {"estimated_cost": f"coalesce({_ESTIMATE}, '')", "unpriced": f"coalesce({_UNPRICED}, '')"}
_FIELDS = ", ".join(_COMPUTED.get(name, name) for name in CallRow.__struct_fields__)
_UNKNOWN = msgspec.structs.asdict(CallRow("", 0.0, "", "", "", "", "", None, "", "", 0.0, None, "", ""))
_WITH_DB = "Give its path with --db, or in PATTER_DB."
_READERS = 4
"""How many may read for one archive at a time."""


class SQLiteReader:
    """Reads a file of `SQLiteSink`, also while it is being written.

    Raises:
        ConfigurationError: the file does not exist, or is not one of `SQLiteSink`.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if not _is_file(self._path):
            raise ConfigurationError(f"{self._path} does not exist.", expected="a file of SQLiteSink", remedy=_WITH_DB)

    @property
    def is_new(self) -> bool:
        """True if the file has no tables yet: it is being made."""
        with self._open() as database:
            return database.execute("SELECT 1 FROM sqlite_master").fetchone() is None

    def calls(self, condition: CallFilter) -> list[CallRow]:
        """Returns the calls that meet the condition, the latest first."""
        query, values = list_query(condition)
        with self._open() as database:
            return [_call(row) for row in in_pieces(database.execute(query, values))]

    def of_number(self, number: str) -> list[CallRow]:
        """Returns the calls from and to that number, or to one that was kept as the same masked one."""
        numbers = (number, mask_address(number))
        where = "from_number IN (?, ?) OR to_number IN (?, ?)"
        found = f"SELECT call_id FROM calls WHERE {where}"  # noqa: S608 - our own text
        query = f"SELECT {_FIELDS} FROM calls WHERE call_id IN ({found}) ORDER BY started DESC"  # noqa: S608 - as above
        with self._open() as database:
            return [_call(row) for row in database.execute(query, (*numbers, *numbers))]

    def row(self, call_id: str) -> CallRow | None:
        """Returns one call; None if there is none with that id."""
        query = f"SELECT {_FIELDS} FROM calls WHERE call_id = ?"  # noqa: S608 - our own text
        with self._open() as database:
            row = database.execute(query, (call_id,)).fetchone()
        return None if row is None else _call(row)

    def last_event(self, call_id: str) -> float:
        """Returns when the latest record of a call was made, in Unix s; 0 if there is none."""
        with self._open() as database:
            (latest,) = database.execute("SELECT MAX(time) FROM records WHERE call_id = ?", (call_id,)).fetchone()
        return float(latest or 0.0)

    def find(self, prefix: str) -> list[str]:
        """Returns the ids of calls that begin with the prefix, ten at most."""
        with self._open() as database:
            rows = database.execute(
                "SELECT call_id FROM calls WHERE substr(call_id, 1, ?) = ? LIMIT 10", (len(prefix), prefix)
            )
            return [str(call_id) for (call_id,) in rows]

    def records(self, call_id: str) -> list[Record]:
        """Returns the records of a call, in order. Those that this version cannot read are left out."""
        with self._open() as database:
            rows = database.execute(
                "SELECT record FROM records WHERE call_id = ? ORDER BY time, sequence", (call_id,)
            ).fetchall()
        return [record for (raw,) in in_pieces(rows) if (record := _read(raw)) is not None]

    def of_kinds(self, kinds: Sequence[str], *, since: float, limit: int) -> list[Record]:
        """Returns records of all calls by the tags of their events, from `since` (Unix s) on, in order of their time.

        Of more than `limit`, they are the latest.
        """
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT record FROM records WHERE kind IN ({marks}) AND time >= ? ORDER BY time DESC LIMIT ?"  # noqa: S608 - our own text
        with self._open() as database:
            rows = database.execute(query, (*kinds, since, limit)).fetchall()
        return [record for (raw,) in in_pieces(reversed(rows)) if (record := _read(raw)) is not None]

    def latest(self, after: str, *, limit: int) -> Latest:
        """Returns the records behind a position: as `SharedArchive.latest`."""
        with self._open() as database:
            ((last,),) = database.execute("SELECT coalesce(max(position), 0) FROM records").fetchall()
            first = min(int(after), last + 1) if after else last
            if first > last:  # it is another file than before: all of it is new
                first = 0
            rows = database.execute(
                "SELECT position, record FROM records WHERE position > ? ORDER BY position LIMIT ?", (first, limit)
            ).fetchall()
        records = [record for (_, raw) in rows if (record := _read(raw)) is not None]
        return Latest(str(rows[-1][0] if rows else first), records)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            database = open_to_read(self._path)
        except OSError as error:
            raise _forbidden(self._path, error) from error
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error
        try:
            found = identify(database, SCHEMA)
            if found.problem:
                raise self._not_ours(found.problem, found.remedy)
            yield database
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error
        finally:
            database.close()

    def _not_ours(self, problem: str, remedy: str = "") -> ConfigurationError:
        return ConfigurationError(
            f"{self._path} cannot be read: {problem}.",
            expected="a file of SQLiteSink",
            remedy=f"{remedy.removesuffix('.')}: with --db, or in PATTER_DB." if remedy else _WITH_DB,
        )

    def _unreadable(self, error: sqlite3.DatabaseError) -> ConfigurationError:
        if not passes(error):
            return self._not_ours(f"{error}")
        if is_of_another_file(error, self._path):
            return ConfigurationError(
                f"{self._path} was deleted or replaced while it was in use.",
                remedy="It is made anew with the next record that is written.",
            )
        return ConfigurationError(
            f"{self._path} cannot be read now: {error}.", remedy="Try again. If it stays so, check the disk."
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _forbidden(path, error) from error


def _forbidden(path: Path, error: OSError) -> ConfigurationError:
    merge = "Copy both files to a folder in which you may write, and give the copy with --db."
    allow = "Let this user read it, and search its folder, or give another path with --db."
    return ConfigurationError(
        f"{path} cannot be read: {error.strerror}.", remedy=merge if isinstance(error, LogUnmerged) else allow
    )


def list_query(condition: CallFilter) -> tuple[str, list[str | float]]:
    """Returns the text of a query for calls, and its values.

    The calls are found in an index that has all fields of conditions, and only those that are shown are read.
    """
    where, values = _where(condition)
    found = f"SELECT call_id FROM calls WHERE {where} ORDER BY started DESC, call_id DESC LIMIT ?"  # noqa: S608 - our own text
    query = f"SELECT {_FIELDS} FROM calls WHERE call_id IN ({found}) ORDER BY started DESC, call_id DESC"  # noqa: S608 - as above
    return query, [*values, condition.limit]


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
        terms.append("(started, call_id) < (?, ?)")
        values += [condition.before, condition.before_id]
    if condition.ended is not None:
        terms.append("ended IS NOT NULL" if condition.ended else "ended IS NULL")
    if condition.active_since is not None:
        terms.append("EXISTS (SELECT 1 FROM records WHERE records.call_id = calls.call_id AND time >= ?)")
        values.append(condition.active_since)
    if condition.number:
        terms.append("(instr(from_number, ?) OR instr(to_number, ?))")
        values += [condition.number] * 2
    if condition.text:
        terms.append("EXISTS (SELECT 1 FROM said WHERE said.call_id = calls.call_id AND instr(text, ?))")
        values.append(condition.text.casefold())
    return " AND ".join(terms), values


def _call(row: Sequence[object]) -> CallRow:
    """Returns a call by its row. A field that is damaged, so that it is none of its kind, is as one that is unknown."""
    fields = dict(zip(CallRow.__struct_fields__, row, strict=True))
    try:
        return msgspec.convert(fields, CallRow)
    except msgspec.ValidationError:
        return msgspec.convert({name: _sound(name, value) for name, value in fields.items()}, CallRow)


def _sound(name: str, value: object) -> object:
    try:
        msgspec.convert({**_UNKNOWN, name: value}, CallRow)
    except msgspec.ValidationError:
        return _UNKNOWN[name]
    return value


def _read(raw: str) -> Record | None:
    try:
        return msgspec.json.decode(raw, type=Record)
    except msgspec.DecodeError:  # of another version, or damaged
        return None


class SQLiteArchive:
    """A `SharedArchive` of a file of `SQLiteSink`. A file that does not exist yet holds no calls."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = DaemonThreads(_READERS)

    async def calls(self, condition: CallFilter) -> Sequence[CallRow]:
        """As in `CallArchive`."""
        return await self._read(lambda reader: reader.calls(condition), ())

    async def records(self, call_id: str) -> Sequence[Record]:
        """As in `CallArchive`."""
        return await self._read(lambda reader: reader.records(call_id), ())

    async def of_kinds(self, kinds: Sequence[str], *, since: float, limit: int) -> Sequence[Record]:
        """As in `CallArchive`."""
        return await self._read(lambda reader: reader.of_kinds(kinds, since=since, limit=limit), ())

    async def latest(self, after: str, *, limit: int) -> Latest:
        """As in `SharedArchive`."""
        return await self._read(lambda reader: reader.latest(after, limit=limit), Latest("0"))

    async def _read(self, ask: Callable[[SQLiteReader], _Found], nothing: _Found) -> _Found:
        def read() -> _Found:
            if not _is_file(self._path):
                return nothing
            reader = SQLiteReader(self._path)
            return nothing if reader.is_new else ask(reader)

        return await self._threads.run(read)
