from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_telnyx.reorder import FAR, FRAMES_TO_WAIT, MOST_KEYS, WINDOW, Keys, Window


def pushed(window: Window[int], numbers: list[int]) -> list[int]:
    return [item for number in numbers for item in window.push(number, number) or ()]


def test_items_in_order_pass_at_once() -> None:
    window: Window[str] = Window()
    assert [window.push(number, str(number)) for number in (7, 8, 9)] == [("7",), ("8",), ("9",)]


@given(st.integers(0, 1_000), st.integers(1, 60), st.randoms(use_true_random=False))
def test_items_within_the_window_are_put_in_order_and_none_is_lost(
    first: int, count: int, chance: random.Random
) -> None:
    numbers = [first, *sorted(range(first + 1, first + count), key=lambda number: number + chance.random() * WINDOW)]
    window: Window[int] = Window()
    assert [*pushed(window, numbers), *window.flush()] == list(range(first, first + count))
    assert window.lost == 0


@given(st.lists(st.integers(0, 200), max_size=80))
def test_no_item_is_given_twice_and_few_are_kept(numbers: list[int]) -> None:
    window: Window[int] = Window()
    given_out = 0
    for number in numbers:
        due = window.push(number, number)
        given_out += len(due or ())
        assert list(due or ()) == sorted(due or ()) or number < max(due or (0,))
    kept = len(window.flush())
    assert kept <= WINDOW
    given_out += kept
    assert given_out <= len(numbers)


def test_a_gap_that_does_not_close_is_skipped() -> None:
    window: Window[int] = Window()
    pushed(window, [1])
    waiting = list(range(3, 3 + WINDOW))
    assert pushed(window, waiting) == []
    assert window.push(3 + WINDOW, 3 + WINDOW) == [*waiting, 3 + WINDOW]
    assert window.lost == 1
    assert window.push(2, 2) is None  # too late


@pytest.mark.parametrize("number", [3, 4, 6])
def test_a_repeated_item_is_not_given(number: int) -> None:
    window: Window[int] = Window()
    pushed(window, [3, 4, 6])
    assert window.push(number, number) is None


def test_a_count_that_restarts_or_leaps_continues_from_there() -> None:
    window: Window[int] = Window()
    assert pushed(window, [100, 102, 1, 2]) == [100, 102, 1, 2]
    assert window.lost == 1
    assert pushed(window, [3 + 2 * FAR]) == [3 + 2 * FAR]
    assert window.lost == 1 + 2 * FAR


def test_keys_wait_for_a_few_frames_and_come_in_order_of_time() -> None:
    keys = Keys()
    keys.press("2026-01-01T10:00:02Z", "2")
    keys.press("2026-01-01T10:00:01.5+00:00", "1")
    assert keys.waiting
    assert [keys.frame() for _ in range(FRAMES_TO_WAIT)] == [""] * (FRAMES_TO_WAIT - 1) + ["12"]
    assert not keys.waiting


def test_keys_without_audio_between_them_wait_within_a_bound() -> None:
    keys = Keys()
    due = [keys.press(f"2026-01-01T10:00:{99 - number:02}Z", "7") for number in range(40, 40 + 2 * MOST_KEYS)]
    assert [len(digits) for digits in due] == ([0] * (MOST_KEYS - 1) + [MOST_KEYS]) * 2
    assert not keys.waiting


def test_keys_without_a_time_come_last_in_order_of_arrival() -> None:
    keys = Keys()
    for occurred_at, digit in (("", "8"), ("yesterday", "9"), ("2026-01-01T10:00:02Z", "1"), ("9" * 40, "0")):
        keys.press(occurred_at, digit)
    assert keys.flush() == "1890"
