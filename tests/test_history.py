"""The history of a call, as text."""

from __future__ import annotations

import pytest

from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid, history_text

USED = ToolUsed(id="1", name="book", arguments='{"day": "Monday"}', started_ms=2.0)
ITEMS: list[HistoryItem] = [
    UserSaid(text="A table, please.", started_ms=1.0),
    USED,
    ToolUsed(id="2", name="look_up", arguments="{}", started_ms=3.0, result="No such table.", state=ToolState.FAILED),
    ToolUsed(id="3", name="look_up", arguments="{}", started_ms=4.0, result="Table 4.", state=ToolState.DONE),
    AgentSaid(text="You have table", started_ms=5.0, interrupted=True),
]


def test_each_item_is_a_line() -> None:
    assert history_text(ITEMS).split("\n") == [
        "User: A table, please.",
        'You used book({"day": "Monday"}): outcome unknown',
        "You used look_up({}) failed: No such table.",
        "You used look_up({}): Table 4.",
        "You: You have table [interrupted]",
    ]


@pytest.mark.parametrize(("room", "kept"), [(0, 5), (1, 4), (23, 4), (24, 3)])
def test_the_newest_whole_lines_are_kept(room: int, kept: int) -> None:
    whole = history_text(ITEMS)
    assert history_text(ITEMS, limit=len(whole) - room) == "\n".join(whole.split("\n")[-kept:])


def test_no_text_is_in_a_repr() -> None:
    assert repr(ITEMS) == "[<UserSaid>, <ToolUsed running>, <ToolUsed failed>, <ToolUsed done>, <AgentSaid>]"
