"""The stored schema is the contract: it is up to date, and nothing in it may go or change its type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast, get_args

import msgspec
import pytest

from docs.event_reference import breaking_changes, event_schema, event_table, write_pages
from patter_core.errors import PatterError
from patter_core.events import SCHEMA_VERSION, CallEvent

DOCS = Path(__file__).parents[1] / "docs" / "reference"
STORED = DOCS / f"events-v{SCHEMA_VERSION}.schema.json"
Json = dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]]


def test_readers_of_the_stored_schema_can_read_todays_events() -> None:
    assert breaking_changes(STORED.read_bytes(), event_schema()) == []


def test_the_stored_schema_and_table_are_todays() -> None:
    remedy = "run `python docs/event_reference.py`"
    assert STORED.read_bytes() == event_schema(), remedy
    assert event_table() in (DOCS / "events.md").read_text(encoding="utf-8"), remedy


def test_the_table_has_every_event_with_what_it_is() -> None:
    rows = [line.split(" | ") for line in event_table().splitlines()[2:]]
    tags = {kind.__struct_config__.tag for kind in get_args(CallEvent)}
    assert {row[0].strip("| `") for row in rows} == tags
    assert all(len(row) == 3 and len(row[1]) > 10 for row in rows)


def changed(change: Callable[[Json], object]) -> bytes:
    schema = msgspec.json.decode(event_schema(), type=dict[str, object])
    change(cast("Json", schema))  # the part that is changed is so deep
    return msgspec.json.encode(schema)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda schema: schema["$defs"].pop("DtmfReceived"), "DtmfReceived is gone"),
        (lambda schema: schema["$defs"]["TranscriptInput"]["properties"].pop("text"), "TranscriptInput.text is gone"),
        (
            lambda schema: schema["$defs"]["ResponseHeard"]["properties"].update(heard_ms={"type": "string"}),
            "ResponseHeard.heard_ms has another type",
        ),
        (
            lambda schema: schema["$defs"]["DtmfReceived"]["properties"]["type"].update(enum=["dtmf"]),
            "DtmfReceived.type has another type",
        ),
        (lambda schema: schema["$defs"]["TranscriptInput"].update(required=[]), "TranscriptInput.text may be missing"),
        (lambda schema: schema["$defs"]["Direction"].update(enum=["inbound"]), "'outbound' is gone"),
        (
            lambda schema: schema["$defs"]["Record"]["properties"]["event"]["anyOf"].pop(),
            "Record.event has another type",
        ),
    ],
)
def test_what_would_break_a_reader_is_found(change: Callable[[Json], object], told: str) -> None:
    assert told in "; ".join(breaking_changes(event_schema(), changed(change)))


def test_additions_break_nobody() -> None:
    def add(schema: Json) -> None:
        schema["$defs"]["CallSung"] = {"properties": {"song": {"type": "string"}}}
        schema["$defs"]["TranscriptInput"]["properties"]["language"] = {"type": "string"}
        schema["$defs"]["Record"]["properties"]["event"]["anyOf"].append({"$ref": "#/$defs/CallSung"})  # type: ignore[attr-defined]

    assert breaking_changes(event_schema(), changed(add)) == []


def test_the_stored_schema_cannot_be_overwritten_with_one_that_breaks(tmp_path: Path) -> None:
    (tmp_path / "events.md").write_text((DOCS / "events.md").read_text(encoding="utf-8"), encoding="utf-8")
    stored = tmp_path / STORED.name
    write_pages(tmp_path)
    assert stored.read_bytes() == event_schema()
    stored.write_bytes(changed(lambda schema: schema["$defs"].update(Gone={})))
    with pytest.raises(PatterError, match="Gone is gone"):
        write_pages(tmp_path)
