"""A rate is held on average, with a burst after a quiet time, and what is refused costs nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_core.server.rate_limit import RateLimit


def test_a_burst_passes_then_the_rate_holds() -> None:
    limit = RateLimit(10, now=0)
    assert [limit.take(0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert not limit.take(0.05)
    assert limit.take(0.11)
    assert not limit.take(0.12)
    assert sum(limit.take(100) for _ in range(50)) == 10


def test_less_than_one_a_second_lets_the_first_one_through() -> None:
    limit = RateLimit(0.5, now=0)
    assert limit.take(0)
    assert not limit.take(1)
    assert limit.take(2)


def test_what_is_given_back_may_be_taken_again_and_no_more() -> None:
    limit = RateLimit(2, now=0)
    limit.give_back()
    assert [limit.take(0) for _ in range(3)] == [True, True, False]
    limit.give_back()
    assert [limit.take(0) for _ in range(2)] == [True, False]


@given(st.floats(0.1, 100), st.lists(st.floats(0, 0.5), max_size=200))
def test_never_more_than_the_burst_and_the_rate_together(rate: float, pauses: list[float]) -> None:
    limit, now, passed = RateLimit(rate, now=0), 0.0, 0
    for pause in pauses:
        now += pause
        passed += limit.take(now)
    assert passed <= max(1, rate) + rate * now + 1e-6
