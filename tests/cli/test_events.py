"""`patter events` prints the table or the schema."""

from __future__ import annotations

from click.testing import CliRunner

from patter_core.cli.events import events
from patter_core.schema import event_schema, event_table


def test_a_table_or_a_schema() -> None:
    assert CliRunner().invoke(events, []).stdout == f"{event_table()}\n"
    assert CliRunner().invoke(events, ["--schema"]).stdout.encode() == event_schema()
