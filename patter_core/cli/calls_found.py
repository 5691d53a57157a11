"""Calls in a file of the SQLite sink, for the commands: found by the beginning of an id, and as a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from patter_core.errors import ConfigurationError
from patter_core.observe.terminal import one_line
from patter_core.sinks.sqlite_reader import SQLiteReader
from patter_core.storage.archive import CallRow

__all__ = ["calls_table", "complete_id"]


def complete_id(reader: SQLiteReader, prefix: str) -> str:
    """Returns the id of a call by its beginning.

    Raises:
        ConfigurationError: no call has it, or several begin so.
    """
    ids = reader.find(prefix)
    if not ids:
        raise ConfigurationError("No call has this ID.", got=prefix, remedy="`patter calls` lists the IDs.")
    if len(ids) > 1:
        raise ConfigurationError("Several IDs begin with this.", got=prefix, remedy="Give more of the ID.")
    return ids[0]


def calls_table(rows: Sequence[CallRow]) -> Table:
    """Returns a table with a line for each call."""
    table = Table(box=None, pad_edge=False)
    for title in ("id", "began", "", "from", "to", "agent", "lasted", "reply", "costs", "ended"):
        table.add_column(title, overflow="fold")  # the last digits of a number tell it from others
    for row in rows:
        began = dt.datetime.fromtimestamp(row.started, dt.UTC).astimezone()
        lasted = f"{row.duration_ms / 1000:.0f} s" if row.ended is not None else "-"
        ended = f"{row.reason} (by the {row.ended_by})" if row.ended is not None else "not yet"
        arrow = "in" if row.direction == "inbound" else "out"
        cells = (
            row.call_id[:8],
            f"{began:%Y-%m-%d %H:%M:%S}",
            arrow,
            row.from_number,
            row.to_number,
            row.agent,
            lasted,
            "-" if row.reply_ms is None else f"{row.reply_ms:.0f} ms",
            _costs(row),
            ended,
        )
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _costs(row: CallRow) -> str:
    """Returns what the engine costs, and what the carrier charges, rounded."""
    amounts = [cost.split(" ") for cost in (*row.engine_cost.split(" + "), row.cost) if cost]
    return " + ".join(f"{float(amount):.4f} {currency}" for amount, currency in amounts) or "-"
