"""The table at the end: what was tried, and what was lost."""

from __future__ import annotations

import msgspec

__all__ = ["Row", "note", "rows", "table"]


class Row(msgspec.Struct, frozen=True):
    """One thing that was tried."""

    what: str
    tried: int
    lost: int
    figure: str = ""
    """The worst that was measured."""


rows: list[Row] = []


def note(what: str, *, tried: int, lost: int, figure: str = "") -> None:
    """Put a row into the table."""
    rows.append(Row(what, tried, lost, figure))


def table() -> list[str]:
    """As text."""
    width = max((len(row.what) for row in rows), default=0)
    head = f"{'what was tried':{width}}  tried   lost  worst"
    return [head, *(f"{row.what:{width}}  {row.tried:5}  {row.lost:5}  {row.figure}" for row in rows)]
