"""When to ask a server again, and how long it asks to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.net.retry_after import is_passing, seconds_asked

NOON = 1_795_694_400.0
"""2026-11-26 12:00 UTC."""


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("3", 3),
        ("120", 120),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٣", 0),
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
        ("Thu, 26 Nov 2026 12:00:10", 10),
    ],
)
def test_seconds_and_dates_are_read_and_the_rest_asks_for_nothing(header: str, seconds: float) -> None:
    assert seconds_asked(header, NOON) == seconds


@given(st.text(max_size=60))
def test_whatever_is_written_it_is_a_time(header: str) -> None:
    assert 0 <= seconds_asked(header, NOON) < 1e12


@pytest.mark.parametrize(("status", "passing"), [(401, False), (404, False), (429, True), (499, False), (503, True)])
def test_what_is_refused_for_the_moment_is_asked_for_again(status: int, *, passing: bool) -> None:
    assert is_passing(status) is passing
