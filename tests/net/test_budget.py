"""What a peer may send: a burst, a rate beyond it, and the time that it has to come back to it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from patter_core.net.budget import Budget


def test_speech_at_any_pace_that_an_engine_has_is_never_paused() -> None:
    budget = Budget()
    pauses = [budget.spend(50, 65_000, now=float(second)) for second in range(3600)]
    # And half a minute of speech at once, in each answer.
    pauses += [budget.spend(1500, 2_000_000, now=3700.0 + 10 * answer) for answer in range(100)]
    assert set(pauses) == {0.0}


def test_more_is_paused_for_as_long_as_it_takes_at_the_rate() -> None:
    budget = Budget(messages=100, size=1000, burst=2)
    assert budget.spend(200, 0, now=0.0) == 0.0
    assert budget.spend(50, 0, now=0.0) == 0.5
    assert budget.spend(0, 0, now=0.5) == 0.0
    assert budget.spend(0, 2000, now=10.0) == 0.0
    assert budget.spend(0, 250, now=10.0) == 0.25
    assert budget.spend(100_000, 0, now=10.0) == 1.0  # the longest pause


def test_a_peer_that_goes_on_is_given_up() -> None:
    budget = Budget(messages=100, burst=1, patience=5)
    now, pause = 0.0, 0.0
    while pause != math.inf:
        pause = budget.spend(150, 0, now)
        now += 1.0
        assert now < 20
    assert now >= 5


def test_a_peer_that_has_come_back_to_the_rate_is_patiently_read_again() -> None:
    budget = Budget(messages=100, burst=1, patience=5)
    for burst in range(100):  # each is beyond the budget, and each has its pause
        assert budget.spend(150, 0, now=burst * 10.0) == 0.5


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 10**7), st.floats(0, 10)), max_size=200))
def test_what_is_read_is_within_burst_and_rate_if_pauses_are_kept(reads: list[tuple[int, int, float]]) -> None:
    budget = Budget(messages=100, size=10**6, burst=3, patience=math.inf)
    now, read = 0.0, 0
    for messages, size, later in reads:
        pause = budget.spend(messages, size, now)
        read += messages
        assert 0 <= pause <= 1
        if pause == 0:
            assert read <= 100 * (now + 3) + 1
        now += pause + later
