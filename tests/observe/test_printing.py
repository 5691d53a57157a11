"""Lines and tables: text is only ever text, and each column stays in its place."""

from __future__ import annotations

import io
import os
import pty

import pytest

from patter_core.observe.printing import Printer, Span, Table


def printed(table: Table, width: int | None = None) -> list[str]:
    out = io.StringIO()
    Printer(out, width=width).table(table)
    return out.getvalue().splitlines()


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() -> None:
    table = Table(("name", "calls"), [("a", "1"), ("long name", ""), ("b", "12345678")])
    assert printed(table) == ["name       calls", "a          1", "long name", "b          12345678"]


def test_a_table_without_titles_or_rows_has_no_line_for_them() -> None:
    assert printed(Table((), [("a", "b")])) == ["a  b"]
    assert printed(Table((), [])) == []


def test_wide_columns_are_folded_between_words_and_within_long_ones_until_all_fit() -> None:
    table = Table(("id", "what"), [("1", "it was refused"), ("2", "+155500011112222")])
    assert printed(table, 13) == ["id  what", "1   it was", "    refused", "2   +15550001", "    1112222"]


def test_words_stay_whole_while_another_column_can_be_folded_between_words() -> None:
    table = Table((), [("patter-elevenlabs", "a b c d e f")])
    assert printed(table, 24) == ["patter-elevenlabs  a b c", "                   d e f"]


def test_a_terminal_that_is_too_narrow_for_any_table_gets_all_of_it() -> None:
    lines = printed(Table(("first", "second"), [("aaaaaaaaaaaa", "bbbbbbbbbbbb")]), 3)
    assert "".join(line.split("  ")[0] for line in lines[1:]) == "aaaaaaaaaaaa"
    assert "".join(line.split("  ")[-1] for line in lines[1:]) == "bbbbbbbbbbbb"


@pytest.mark.parametrize(("name", "pad"), [("東京", 0), ("e\u0301te", 1), ("Åsa", 1)])
def test_a_character_takes_the_cells_that_a_terminal_gives_it(name: str, pad: int) -> None:
    assert printed(Table((), [(name, "|"), ("abcd", "|")]))[0] == f"{name}{' ' * pad}  |"


def test_text_of_others_is_escaped_in_lines_and_tables() -> None:
    assert Printer(io.StringIO(), styled=True).line("\x1b[2J\r\n[bold]") == "\\x1b[2J\\r\\n[bold]\n"
    assert printed(Table(("\x9b1m",), [("a\nb",)])) == ["\\x9b1m", "a\\nb"]


def test_a_pipe_of_a_narrow_encoding_gets_escapes() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as pipe:
        Printer(pipe).print("✓ 5 μs")
        assert raw.getvalue() == b"\\u2713 5 \\u03bcs\n"


@pytest.mark.parametrize(("variable", "styled"), [("", True), ("NO_COLOR", False)])
def test_styles_are_for_terminals_and_for_who_wants_them(
    variable: str, styled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if variable:
        monkeypatch.setenv(variable, "1")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master):
        assert ("\x1b[31m" in Printer(terminal).line(Span("no", "red"))) is styled
    assert Printer(io.StringIO()).line(Span("no", "red")) == "no\n"
