"""When to retry, and what a response means. Sans-IO."""

from __future__ import annotations

import enum
import random

__all__ = ["DELAYS", "Outcome", "next_due", "outcome_of"]

DELAYS = (5.0, 30.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds from each failed attempt to the next, three days in all: the specification's example, with one more early."""
_LONGEST_RETRY_AFTER = 3600.0
"""Seconds of a `Retry-After` beyond which it is cut."""


class Outcome(enum.Enum):
    """The outcome of an attempt to deliver a message."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GONE = "gone"
    """The receiver wants no more messages."""


def outcome_of(status: int) -> Outcome:
    """Returns what an HTTP status means, by the specification: only 2xx is success, and 410 asks us to stop."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return Outcome.GONE if status == 410 else Outcome.RETRY


def next_due(attempts: int, now: float, *, retry_after: str = "", scale: float = 1.0) -> float | None:
    """Returns when a message whose attempt failed is due again; None after the last attempt.

    Args:
        attempts: failed attempts before this one.
        now: Unix s.
        retry_after: the response's `Retry-After` header; one that is not in seconds is ignored.
        scale: of all delays; for tests.
    """
    if attempts >= len(DELAYS):
        return None
    delay = DELAYS[attempts] * scale * random.uniform(1.0, 1.2)
    if retry_after.isascii() and retry_after.isdecimal():
        delay = max(delay, min(float(retry_after[:6]), _LONGEST_RETRY_AFTER) * scale)
    return now + delay
