"""Read what the SQLite sink wrote: which calls there were, and what happened on one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from patter_core.errors import ConfigurationError
from patter_core.events import Record

__all__ = ["CallFilter", "CallRow", "SqliteReader"]


class CallRow(msgspec.Struct, frozen=True):
    """A call in a line. Its numbers are masked, as sinks get them."""

    call_id: str
    started: float
    """Unix s."""
    carrier: str
    direction: str
    from_number: str
    to_number: str
    agent: str
    ended: float | None
    """Unix s; None while it goes on, or if its worker died."""
    reason: str
    ended_by: str
    duration_ms: float
    cost: str
    """What the carrier charged; "" until it says so."""


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls; "" and None mean all."""

    since: float | None = None
    """Unix s."""
    agent: str = ""
    carrier: str = ""
    direction: str = ""
    reason: str = ""
    text: str = ""
    """Somebody said this; upper and lower case are one."""
    limit: int = 50


class SqliteReader:
    """The calls in a file of `SQLiteSink`, read while it is being written or afterwards.

    Raises:
        ConfigurationError: there is no such file, or it is something else.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if not self._path.is_file():
            raise ConfigurationError(
                f"There is no {self._path.name}.",
                expected="a file that SQLiteSink wrote",
                remedy="Give its path with --db, or in PATTER_DB.",
            )

    def calls(self, which: CallFilter) -> list[CallRow]:
        """The calls, the latest first."""
        conditions, values = _conditions(which)
        fields = ", ".join(CallRow.__struct_fields__)
        query = f"SELECT {fields} FROM calls WHERE {conditions} ORDER BY started DESC LIMIT ?"  # noqa: S608 - our own text
        with self._reading() as database:
            return [CallRow(*row) for row in database.execute(query, (*values, which.limit))]

    def find(self, prefix: str) -> list[str]:
        """The ids of the calls whose id begins so."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT call_id FROM calls WHERE substr(call_id, 1, ?) = ? LIMIT 10", (len(prefix), prefix)
            )
            return [str(call_id) for (call_id,) in rows]

    def records(self, call_id: str) -> list[Record]:
        """All that happened on a call, in order. Events that this version does not know are left out."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT record FROM records WHERE call_id = ? ORDER BY time, sequence", (call_id,)
            ).fetchall()
        return [record for (raw,) in rows if (record := _read(raw)) is not None]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        database.create_function("casefold", 1, str.casefold, deterministic=True)
        try:
            yield database
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"{self._path.name} cannot be read: {error}.", expected="a file that SQLiteSink wrote"
            ) from error
        finally:
            database.close()


def _conditions(which: CallFilter) -> tuple[str, list[str | float]]:
    conditions, values = ["1"], list[str | float]()
    for field in ("agent", "carrier", "direction", "reason"):
        value: str = getattr(which, field)
        if value:
            conditions.append(f"{field} = ?")
            values.append(value)
    if which.since is not None:
        conditions.append("started >= ?")
        values.append(which.since)
    if which.text:
        conditions.append(
            "EXISTS (SELECT 1 FROM records WHERE records.call_id = calls.call_id AND kind LIKE 'transcript%'"
            " AND instr(casefold(json_extract(record, '$.event.text')), ?))"
        )
        values.append(which.text.casefold())
    return " AND ".join(conditions), values


def _read(raw: str) -> Record | None:
    try:
        return msgspec.json.decode(raw, type=Record)
    except msgspec.ValidationError:
        return None
