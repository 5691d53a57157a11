"""Reads a file of the SQLite sink: its calls, and the records of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from patter_core.errors import ConfigurationError
from patter_core.events import Record

__all__ = ["CallFilter", "CallRow", "SQLiteReader"]


class CallRow(msgspec.Struct, frozen=True):
    """A row of the table `calls`. Its numbers are masked, as sinks get them."""

    call_id: str
    started: float
    """Unix s."""
    carrier: str
    direction: str
    from_number: str
    to_number: str
    agent: str
    ended: float | None
    """Unix s; None while the call lasts, or if its worker died."""
    reason: str
    ended_by: str
    duration_ms: float
    reply_ms: float | None
    """From the end of the caller's speech to the agent's first audio, the median of the call; None if not measured."""
    engine_cost: str
    """What the engine and its parts cost by list prices; "" if no price is known."""
    cost: str
    """The carrier's price; "" until it is known."""


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that a call must meet; "" and None are none."""

    since: float | None = None
    """The earliest start, in Unix s."""
    agent: str = ""
    carrier: str = ""
    direction: str = ""
    reason: str = ""
    text: str = ""
    """Part of what was said; case is ignored."""
    limit: int = 50
    """The most calls to return."""


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
