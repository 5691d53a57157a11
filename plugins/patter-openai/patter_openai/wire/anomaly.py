"""Anomalies: what the service sends that it should not, and that a session survives."""

from __future__ import annotations

import enum
from collections import Counter

__all__ = ["Anomaly", "describe"]


class Anomaly(enum.StrEnum):
    """A kind of anomaly, in words for the log."""

    MALFORMED = "malformed message"
    UNKNOWN_TYPE = "unknown message type"
    BAD_AUDIO = "invalid audio"
    LATE_CORRECTION = "correction that the service refused"
    """A truncation, a deletion or a cancellation that came too late to be needed."""


def describe(anomalies: Counter[Anomaly]) -> str:
    """Returns the anomalies with their counts: `2 × malformed message, 1 × invalid audio`."""
    return ", ".join(f"{count} × {anomaly.value}" for anomaly, count in sorted(anomalies.items()))
