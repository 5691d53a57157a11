"""Lines with styles, and tables, for a terminal, a pipe or a file.

All text may be others': it is written with its control characters as escapes, so that it is never more than text.
Styles are for terminals only, and not with NO_COLOR. A table is folded to the width of the terminal; into a pipe or a
file it goes as wide as it is, unless COLUMNS says how wide it may be.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TextIO

from patter_core.observe.terminal import one_line

__all__ = ["Printer", "Span", "Style", "Table"]

Style = Literal["", "bold", "dim", "red", "green", "yellow", "magenta", "cyan"]

_CODES: dict[Style, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}
"""Of the terminal's “select graphic rendition” (ECMA-48)."""
_GAP = "  "
_NARROWEST = 8
"""Cells to which a column is folded at most, if it is wider."""


class Span(NamedTuple):
    """Text in a style."""

    text: str
    style: Style = ""


class Table(NamedTuple):
    """Columns and rows. Without titles, it has no line for them."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str | Span]]


class Printer:
    """Prints to a file.

    Args:
        file: by default standard output, as it is when something is printed.
        width: cells of a line that a table may take; by default, those of the terminal.
        styled: whether styles are shown; by default, on a terminal.
    """

    def __init__(self, file: TextIO | None = None, *, width: int | None = None, styled: bool | None = None) -> None:
        self._file = file
        self._width = width
        self._styled = styled

    @property
    def file(self) -> TextIO:
        return sys.stdout if self._file is None else self._file

    def print(self, *spans: str | Span) -> None:
        """Prints the texts as one line."""
        self._write(self.line(*spans))

    def table(self, table: Table) -> None:
        """Prints a table."""
        show = self._shows_styles()
        self._write("".join(_line(cells, show) for cells in _folded_rows(table, self._columns())))

    def line(self, *spans: str | Span) -> str:
        """Returns the texts as one line for this file, with its end."""
        return _line([_clean(span) for span in spans], self._shows_styles())

    def _write(self, text: str) -> None:
        file = self.file
        encoding = file.encoding or "utf-8"
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))
        file.flush()

    def _shows_styles(self) -> bool:
        if self._styled is not None:
            return self._styled
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        old = os.name == "nt" and "WT_SESSION" not in os.environ  # a console that shows the codes themselves
        return self.file.isatty() and not plain and not old

    def _columns(self) -> int:
        if self._width is not None:
            return self._width
        return shutil.get_terminal_size().columns if self.file.isatty() or os.environ.get("COLUMNS") else sys.maxsize


def _line(spans: Sequence[Span], show: bool) -> str:
    return "".join(_shown(span, show) for span in spans) + "\n"


def _shown(span: Span, show: bool) -> str:
    code = _CODES.get(span.style) if show and span.text else None
    return span.text if code is None else f"\x1b[{code}m{span.text}\x1b[0m"


def _clean(cell: str | Span) -> Span:
    text, style = cell if isinstance(cell, Span) else Span(cell)
    return Span(one_line(text), style)


def _folded_rows(table: Table, width: int) -> Iterator[list[Span]]:
    """Returns the lines of a table, each as its spans."""
    rows = [[Span(one_line(title), "bold") for title in table.titles]] if any(table.titles) else []
    rows += [[_clean(cell) for cell in row] for row in table.rows]
    widths = _widths(rows, width)
    for row in rows:
        cells = [_folded(text, wide) for (text, _), wide in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells), default=0)):
            line = list[Span]()
            for lines, (_, style), wide in zip(cells, row, widths, strict=True):
                text = lines[number] if number < len(lines) else ""
                line += (Span(text, style), Span(" " * (wide - _cells(text)) + _GAP))
            yield _without_end(line)


def _without_end(line: list[Span]) -> list[Span]:
    while line and not line[-1].text.strip():
        line.pop()
    return line


def _widths(rows: Sequence[Sequence[Span]], width: int) -> list[int]:
    """Returns how wide each column is: as its widest cell, or the widest columns narrower, until all fit.

    Words are parted only where folding between words is not enough.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(_cells(text) for text, _ in column) for column in columns]
    words = [max(_cells(word) for text, _ in column for word in text.split(" ")) for column in columns]
    for least in (words, [_NARROWEST] * len(columns)):
        over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
        while over > 0 and (able := [column for column, wide in enumerate(widths) if wide > least[column]]):
            widths[max(able, key=widths.__getitem__)] -= 1
            over -= 1
    return widths


def _folded(text: str, width: int) -> list[str]:
    """Returns a text in lines, which are parted between words, or inside of one that is too long."""
    lines, line = list[str](), ""
    for word in text.split(" "):
        if line and _cells(line) + 1 + _cells(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while _cells(line) > width:
            head = _head(line, width)
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line]


def _head(text: str, width: int) -> str:
    """Returns the longest beginning that fits, of one character at least."""
    taken = 0
    for place, character in enumerate(text):
        taken += _cells(character)
        if taken > width and place:
            return text[:place]
    return text


def _cells(text: str) -> int:
    """Returns how many cells of a terminal a text takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(one) in {"Mn", "Me", "Cf"} else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )
