"""A message that comes often is told often enough, and how often it came is told exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_core.observe.log_limit import MessageLimit


def test_a_burst_is_admitted_and_then_one_in_each_interval() -> None:
    limit = MessageLimit(burst=3, interval=10.0)
    assert [limit.admit("a", 0.0) for _ in range(5)] == [0, 0, 0, None, None]
    assert limit.admit("b", 0.0) == 0
    assert limit.admit("a", 9.0) is None
    assert limit.admit("a", 10.0) == 3
    assert limit.admit("a", 10.1) is None
    assert limit.take("a") == 1
    assert limit.take("a") == limit.take("unknown") == 0


def test_kinds_are_bounded() -> None:
    limit = MessageLimit(burst=1, kinds=10)
    for kind in range(100):
        assert limit.admit(kind, 0.0) == 0
    assert limit.admit(99, 0.0) is None
    assert limit.admit(0, 0.0) == 0


@given(st.lists(st.floats(-1, 100), max_size=50))
def test_none_is_lost_from_the_count(times: list[float]) -> None:
    limit = MessageLimit(burst=2, interval=1.0)
    admitted = [limit.admit("a", now) for now in times]
    assert sum(1 + count for count in admitted if count is not None) + limit.take("a") == len(times)
