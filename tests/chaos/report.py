"""The table at the end: what was tried, and what was lost."""

from __future__ import annotations

import msgspec

__all__ = ["Row", "bound", "note", "rows", "share_machine", "table"]


class Row(msgspec.Struct, frozen=True):
    """One thing that was tried."""

    what: str
    tried: int
    lost: int
    figure: str = ""
    """The worst that was measured."""


rows: list[Row] = []

_allowance = 1.0


def share_machine() -> None:
    """The tests run beside others: what takes time may take longer."""
    global _allowance  # noqa: PLW0603 - of one run of the tests
    _allowance = 5.0


def bound(limit_ms: float) -> float:
    """Returns how long a caller may hear nothing (ms), from what that is on a quiet machine."""
    return limit_ms * _allowance


def note(what: str, *, tried: int, lost: int, figure: str = "") -> None:
    """Put a row into the table."""
    rows.append(Row(what, tried, lost, figure))


def table() -> list[str]:
    """As text."""
    width = max((len(row.what) for row in rows), default=0)
    head = f"{'what was tried':{width}}  tried   lost  worst"
    return [head, *(f"{row.what:{width}}  {row.tried:5}  {row.lost:5}  {row.figure}" for row in rows)]
