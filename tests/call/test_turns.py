"""How much was heard of each item of a turn, wherever its audio stands in the stream."""

from __future__ import annotations

import pytest

from patter_core.call.turns import Turn
from patter_core.engine import HeardItem

RATE = 8_000
MS = 8
"""Bytes a millisecond."""


def turn_of(*items: tuple[str, float, int], at: int = 0) -> Turn:
    """A turn of these items: their names, where in them they begin and how long they are (ms)."""
    turn = Turn("turn", None, at, RATE)
    for item, offset_ms, length_ms in items:
        turn.begin_item(item, offset_ms, at)
        at += length_ms * MS
    turn.end(at)
    return turn


def told(turn: Turn, heard_ms: float, sent_ms: float) -> list[tuple[str, float, float]]:
    items: tuple[HeardItem, ...] = turn.told(
        heard_ms * MS, round(sent_ms * MS), round(sent_ms * MS), interrupted=True
    ).heard.items
    return [(item.item, item.heard_ms, item.sent_ms) for item in items]


@pytest.mark.parametrize(
    ("heard_ms", "sent_ms", "items"),
    [
        (0, 0, [("a", 0, 0), ("b", 0, 0)]),
        (500, 1_200, [("a", 500, 1_000), ("b", 0, 200)]),
        (1_500, 3_000, [("a", 1_000, 2_000), ("b", 500, 1_000)]),
        (2_500, 3_000, [("a", 1_500, 2_000), ("b", 1_000, 1_000)]),
    ],
)
def test_an_item_in_two_parts_was_heard_as_far_as_the_first_part_that_was_not(
    heard_ms: float, sent_ms: float, items: list[tuple[str, float, float]]
) -> None:
    turn = turn_of(("a", 0, 1_000), ("b", 0, 1_000), ("a", 1_000, 1_000))
    assert told(turn, heard_ms, sent_ms) == items


def test_an_item_that_is_announced_again_and_again_was_heard_no_further_than_it_was() -> None:
    turn = turn_of(*(("a", number * 100.0, 100) for number in range(10)))
    assert told(turn, 250, 600) == [("a", 250, 600)]


def test_what_is_not_of_the_turn_counts_for_none_of_its_items() -> None:
    turn = Turn("turn", None, 0, RATE)
    turn.begin_item("a", 40, 0)
    turn.pass_over(500 * MS, 1_500 * MS)  # a second of tones
    turn.end(2_000 * MS)
    assert told(turn, 400, 2_000) == [("a", 440, 1_040)]
    assert told(turn, 1_000, 2_000) == [("a", 540, 1_040)]
    assert told(turn, 1_700, 2_000) == [("a", 740, 1_040)]
