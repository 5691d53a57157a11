"""Only 2xx is success; the waits grow; a receiver may ask for more time."""

from __future__ import annotations

import pytest

from patter_webhook.retry import DELAYS, Verdict, judge, next_due


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (301, Verdict.AGAIN),
        (400, Verdict.AGAIN),
        (410, Verdict.GONE),
        (429, Verdict.AGAIN),
        (503, Verdict.AGAIN),
    ],
)
def test_an_answers_status_decides(status: int, verdict: Verdict) -> None:
    assert judge(status) is verdict


def test_the_waits_grow_over_three_days_and_end() -> None:
    dues = [next_due(attempts, 1000.0) for attempts in range(len(DELAYS))]
    for due, delay in zip(dues, DELAYS, strict=True):
        assert due is not None
        assert delay <= due - 1000 <= delay * 1.2
    assert 3 * 86400 <= sum(DELAYS) < 4 * 86400
    assert next_due(len(DELAYS), 1000.0) is None


def test_a_receivers_wish_is_heard_within_reason() -> None:
    assert next_due(0, 0.0, retry_after="120") == 120
    assert next_due(0, 0.0, retry_after="999999") == 3600
    nothing_understood = next_due(0, 0.0, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert nothing_understood is not None
    assert nothing_understood < 10
