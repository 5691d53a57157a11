"""Calls in a file of the SQLite sink, for the commands: found by the beginning of an id, and as a table."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from patter_core.errors import ConfigurationError
from patter_core.observe.printing import Printer, Table
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.storage.archive import CallRow
from patter_core.telephony.prices import costs_sign

__all__ = ["complete_id", "file_option", "is_live", "no_calls", "print_calls", "reader_of"]

_Command = TypeVar("_Command", bound=Callable[..., object])

_LOST_AFTER = 3600.0
"""Seconds without an event after which a call without an end is over: its worker died."""
_LISTED = "`patter calls` lists the IDs."


def _take_file(context: click.Context, _parameter: click.Parameter, db: Path | None) -> None:
    context.obj = context.obj if db is None else db


def file_option(command: _Command) -> _Command:
    """Adds `--db` to a command below `patter calls`, whose `context.obj` is the file."""
    return click.option(
        "--db",
        type=click.Path(dir_okay=False, path_type=Path),
        expose_value=False,
        callback=_take_file,
        help="File of the SQLite sink. Default: that of `patter calls`.",
    )(command)


def no_calls(db: Path) -> str:
    """Returns what is told of a file without calls."""
    return f"There are no calls in {db} yet."


def reader_of(db: Path) -> SQLiteReader:
    """Returns a reader of the file.

    Raises:
        ConfigurationError: it does not exist, is none of the sink, or has no calls yet.
    """
    reader = SQLiteReader(db)
    if reader.is_new:
        raise ConfigurationError(no_calls(db))
    return reader


def complete_id(reader: SQLiteReader, prefix: str) -> str:
    """Returns the id of a call by its beginning.

    Raises:
        ConfigurationError: it is empty, no call has it, or several begin so.
    """
    if not prefix.strip():  # the beginning of every ID
        raise ConfigurationError("The ID is empty.", expected="an ID, or its beginning", remedy=_LISTED)
    ids = reader.find(prefix)
    if not ids:
        raise ConfigurationError("No call has this ID.", got=prefix, remedy=_LISTED)
    if len(ids) > 1:
        raise ConfigurationError("Several IDs begin with this.", got=prefix, remedy="Give more of the ID.")
    return ids[0]


def is_live(reader: SQLiteReader, row: CallRow) -> bool:
    """Returns whether a call goes on, as far as is known."""
    return row.ended is None and reader.last_event(row.call_id) > time.time() - _LOST_AFTER


def print_calls(console: Printer, rows: Sequence[CallRow], reader: SQLiteReader) -> None:
    """Prints a table with a line for each call, two at 80 columns, and what has no price in it."""
    titles = ("id", "began", "from, to", "agent", "lasted, reply", "costs", "ended")
    console.table(Table(titles, [_cells(row, reader) for row in rows]))
    unpriced = sorted({part for row in rows if row.missing for part in row.missing.split(", ")})
    if unpriced:
        console.print(f"Not in the costs, as no price is known: {', '.join(unpriced)}.")


def _cells(row: CallRow, reader: SQLiteReader) -> tuple[str, ...]:
    """Returns the cells of a call; each folds between its words."""
    lasted = f"{row.duration_ms / 1000:.0f} s" if row.ended is not None else "-"
    reply = "-" if row.reply_ms is None else f"{row.reply_ms:.0f} ms"
    return (
        f"{row.call_id[:8]} {'in' if row.direction == 'inbound' else 'out'}",
        _began(row.started),
        f"{row.from_number or '-'} {row.to_number or '-'}",
        row.agent,
        f"{lasted}, {reply}",
        costs_sign(row.costs, row.missing) or "-",
        _end_of(row, reader),
    )


def _end_of(row: CallRow, reader: SQLiteReader) -> str:
    if row.ended is not None:
        return row.reason
    return "not yet" if is_live(reader, row) else "no end known"


def _began(started: float) -> str:
    """Returns a start in local time; "-" if it is unknown."""
    return f"{dt.datetime.fromtimestamp(started, dt.UTC).astimezone():%Y-%m-%d %H:%M:%S}" if started else "-"
