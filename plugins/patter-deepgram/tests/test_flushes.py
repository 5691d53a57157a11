from __future__ import annotations

from patter_deepgram.flushes import LIMIT, WINDOW, FlushBudget


def test_so_many_flushes_are_allowed_in_a_window_and_no_more() -> None:
    budget = FlushBudget()
    assert all(budget.take(float(number)) for number in range(LIMIT))
    assert not budget.take(float(LIMIT))
    assert not budget.take(WINDOW)
    assert budget.take(WINDOW + 1.0)  # the first one is out of the window
    assert not budget.take(WINDOW + 1.5)
    assert budget.take(WINDOW + 2.0)


def test_some_can_be_left_for_later() -> None:
    budget = FlushBudget()
    assert sum(budget.take(1.0, reserve=5) for _ in range(LIMIT)) == LIMIT - 5
    assert sum(budget.take(1.0) for _ in range(LIMIT)) == 5


def test_none_is_left_where_the_service_says_so() -> None:
    budget = FlushBudget()
    budget.use_up(5.0)
    assert not budget.take(WINDOW + 5.0)
    assert budget.take(WINDOW + 6.0)


def test_what_was_refused_does_not_count() -> None:
    budget = FlushBudget()
    for number in range(1_000):
        budget.take(number / 1_000)
    assert budget.take(WINDOW + 1.0)
