"""Only 2xx is success; the delays grow; a receiver may ask for more time."""

from __future__ import annotations

import pytest

from patter_webhook.retry import DELAYS, Outcome, next_due, outcome_of


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (301, Outcome.RETRY),
        (400, Outcome.RETRY),
        (410, Outcome.GONE),
        (429, Outcome.RETRY),
        (503, Outcome.RETRY),
    ],
)
def test_the_status_of_a_response_decides(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


def test_the_delays_grow_over_three_days_and_end() -> None:
    dues = [next_due(attempts, 1000.0) for attempts in range(len(DELAYS))]
    for due, delay in zip(dues, DELAYS, strict=True):
        assert due is not None
        assert delay <= due - 1000 <= delay * 1.2
    assert 3 * 86400 <= sum(DELAYS) < 4 * 86400
    assert next_due(len(DELAYS), 1000.0) is None


def test_retry_after_is_respected_up_to_an_hour() -> None:
    assert next_due(0, 0.0, retry_after="120") == 120
    assert next_due(0, 0.0, retry_after="999999") == 3600
    not_in_seconds = next_due(0, 0.0, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert not_in_seconds is not None
    assert not_in_seconds < 10
