from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.aio.tries import Tries


def tries(credit: int = 3) -> Tries:
    return Tries(credit, returns_every=60.0, first_pause=0.25, longest_pause=0.8, spread=lambda: 1.0)


def test_pauses_grow_to_the_longest_until_the_credit_is_spent() -> None:
    some = tries(4)
    assert [some.failed() for _ in range(5)] == [0.25, 0.5, 0.8, 0.8, None]
    assert some.left == 0


def test_without_credit_nothing_is_tried() -> None:
    assert tries(0).failed(worked_for=1e6) is None


def test_what_worked_is_tried_at_once() -> None:
    assert tries().failed(worked_for=1.0) == 0.0


def test_something_that_fails_every_few_minutes_is_tried_for_ever() -> None:
    some = tries(1)
    assert [some.failed(worked_for=180.0) for _ in range(100)] == [0.0] * 100


def test_something_that_fails_every_few_seconds_is_given_up() -> None:
    some = tries(3)
    assert [some.failed(worked_for=2.0) for _ in range(5)] == [0.0, 0.0, 0.0, None, None]


def test_a_peer_may_ask_for_a_longer_pause() -> None:
    some = tries()
    assert some.failed(asked_for=3.0) == 3.0
    assert some.failed(asked_for=0.1) == 0.5


def test_a_pause_that_is_too_long_spends_no_credit() -> None:
    some = tries(1)
    assert some.failed(asked_for=3.0, within=2.0) is None
    assert some.left == 1


def test_pauses_are_spread() -> None:
    pauses = {Tries(1).failed() for _ in range(20)}
    assert len(pauses) > 1
    assert all(pause is not None and 0.18 < pause < 0.32 for pause in pauses)


@given(st.integers(0, 5), st.lists(st.floats(0, 1e4)))
def test_tries_are_never_more_than_the_credit_and_what_health_brought_back(credit: int, lives: list[float]) -> None:
    some = tries(credit)
    tried = sum(some.failed(worked_for=life) is not None for life in lives)
    assert tried <= credit + sum(lives) / 60.0 + 1e-6
    assert 0 <= some.left <= credit


@pytest.mark.parametrize("health", [59.0, 61.0])
def test_credit_returns_with_health(health: float) -> None:
    some = tries(1)
    some.failed()
    assert (some.failed(worked_for=health) is not None) is (health > 60)


def test_what_time_there_is_is_used_nearly_to_its_end() -> None:
    some, left = Tries(5, spread=lambda: 1.0), 2.5
    for _ in range(5):
        pause = some.failed(within=left)
        assert pause is not None
        left -= pause
    assert 0 < left < 0.3
