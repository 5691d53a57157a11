"""Anomalies: what the service sends that it should not, and that a conversation survives."""

from __future__ import annotations

import enum
from collections import Counter

__all__ = ["Anomaly", "describe"]


class Anomaly(enum.StrEnum):
    """A kind of anomaly, in words for the log."""

    MALFORMED = "malformed message"
    UNKNOWN_TYPE = "unknown message type"
    MISSING_ID = "missing event id"
    STRING_ID = "event id as a string"
    BAD_AUDIO = "invalid audio"


def describe(anomalies: Counter[Anomaly]) -> str:
    """Returns the anomalies with their counts: `2 × malformed message, 1 × invalid audio`."""
    return ", ".join(f"{count} × {anomaly.value}" for anomaly, count in sorted(anomalies.items()))
