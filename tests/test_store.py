"""Lines of a call's history: how they are put together, and how stores write them."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.store import HistoryLine, WorkerNote, decode_lines, encode_line, history_of

WHOLE = AgentSaid(text="We open at nine and close at five.", started_ms=1_000.0)
HEARD = AgentSaid(text="We open at nine", started_ms=1_000.0, interrupted=True)
WAIT = UserSaid(text="Wait.", started_ms=2_500.0)
STORED = (
    (
        b'{"id":"5f0c.1","item":{"type":"user","text":"Wait.","started_ms":2500.0}}',
        HistoryLine("5f0c.1", WAIT),
    ),
    (
        b'{"id":"5f0c.2","item":{"type":"agent","text":"We open at nine","started_ms":1000.0,"interrupted":true}}',
        HistoryLine("5f0c.2", HEARD),
    ),
    (
        b'{"id":"note.streams.a","item":{"type":"worker","worker":"a","about":"streams","count":2}}',
        HistoryLine("note.streams.a", WorkerNote(worker="a", about="streams", count=2)),
    ),
    (
        b'{"id":"tool.c1","item":{"type":"tool","id":"c1","name":"a","arguments":"{}","started_ms":3000.0,"state":"done"}}',
        HistoryLine(
            "tool.c1",
            ToolUsed(id="c1", name="a", arguments="{}", started_ms=3_000.0, state=ToolState.DONE),
        ),
    ),
)


def test_a_later_line_with_the_same_id_replaces_the_item_in_its_place() -> None:
    lines = [HistoryLine("1", WHOLE), HistoryLine("2", WAIT), HistoryLine("1", HEARD)]
    assert history_of(lines) == (HEARD, WAIT)
    assert history_of([*lines, *lines[1:]]) == (HEARD, WAIT)


def test_items_are_in_the_order_of_their_beginning_however_late_they_came() -> None:
    assert history_of([HistoryLine("2", WAIT), HistoryLine("1", WHOLE)]) == (WHOLE, WAIT)


def test_an_item_without_text_takes_back_what_was_said_of_it() -> None:
    unheard = msgspec.structs.replace(WHOLE, text="")
    assert history_of([HistoryLine("1", WHOLE), HistoryLine("2", WAIT), HistoryLine("1", unheard)]) == (WAIT,)


def test_the_use_of_a_tool_is_there_whatever_it_returns() -> None:
    used = ToolUsed(id="a", name="book", arguments="", started_ms=0.0)
    assert history_of([HistoryLine("tool.a", used)]) == (used,)


def test_lines_that_another_release_stored_are_read_and_written_alike() -> None:
    for stored, line in STORED:
        assert decode_lines([stored]) == (line,)
        was, is_now = (msgspec.json.decode(one, type=dict[str, object]) for one in (stored, encode_line(line)))
        assert is_now["id"] == was["id"]
        assert isinstance(was["item"], dict)
        assert isinstance(is_now["item"], dict)
        assert is_now["item"] | was["item"] == is_now["item"]


def test_what_a_later_release_adds_is_passed_over_and_the_rest_is_read() -> None:
    newer = b'{"id":"5f0c.9","item":{"type":"picture","text":"?"},"colour":1}'
    extended = b'{"id":"5f0c.1","item":{"type":"user","text":"Wait.","started_ms":2500.0,"language":"en"},"x":1}'
    assert decode_lines([newer, b"not JSON", extended]) == (HistoryLine("5f0c.1", WAIT),)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(), st.floats(0, 100))))
def test_lines_are_the_same_after_they_were_stored(said: list[tuple[str, str, float]]) -> None:
    lines = tuple(HistoryLine(name, UserSaid(text=text, started_ms=at)) for name, text, at in said)
    assert decode_lines([encode_line(line) for line in lines]) == lines


def test_a_line_does_not_show_what_was_said() -> None:
    assert "heart" not in repr(HistoryLine("1", UserSaid(text="My heart hurts.", started_ms=0)))
