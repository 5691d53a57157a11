"""When to try again, and what an answer means. Sans-IO."""

from __future__ import annotations

import enum
import random

__all__ = ["DELAYS", "Verdict", "judge", "next_due"]

DELAYS = (5.0, 30.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds from each failed attempt to the next, three days in all: the specification's example, with one more early."""
_LONGEST_WISH = 3600.0
"""Seconds that a receiver may ask us to wait."""


class Verdict(enum.Enum):
    """What is to become of a message."""

    DELIVERED = "delivered"
    AGAIN = "again"
    GONE = "gone"
    """The receiver wants no message any more."""


def judge(status: int) -> Verdict:
    """What an answer's status means, by the specification: only 2xx is success, and 410 asks us to stop."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    return Verdict.GONE if status == 410 else Verdict.AGAIN


def next_due(attempts: int, now: float, *, retry_after: str = "", scale: float = 1.0) -> float | None:
    """When a message whose attempt failed is due again; None if it has failed often enough.

    Args:
        attempts: that failed before this one.
        now: Unix s.
        retry_after: the answer's `Retry-After`, where it is in seconds.
        scale: of all delays; for tests.
    """
    if attempts >= len(DELAYS):
        return None
    delay = DELAYS[attempts] * scale * random.uniform(1.0, 1.2)
    if retry_after.isascii() and retry_after.isdecimal():
        delay = max(delay, min(float(retry_after[:6]), _LONGEST_WISH) * scale)
    return now + delay
