"""Decoding of the service's messages: it never raises, and counts what it cannot read."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Generic, TypeVar

import msgspec

__all__ = ["Anomaly", "Decoder", "describe"]

M = TypeVar("M")

_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class Anomaly(enum.StrEnum):
    """What the service sends that it should not, in words for the log."""

    MALFORMED = "malformed message"
    UNKNOWN_TYPE = "unknown message type"


class _Probe(msgspec.Struct):
    type: str = ""


_probe = msgspec.json.Decoder(_Probe).decode


class Decoder(Generic[M]):
    """Decodes messages, and counts their anomalies.

    Args:
        decoder: of the union of all messages that are used.
        ignored: types that are known and not used.
    """

    def __init__(self, decoder: msgspec.json.Decoder[M], ignored: frozenset[str]) -> None:
        self.anomalies: Counter[Anomaly] = Counter()
        self._decode = decoder.decode
        self._ignored = ignored

    def decode(self, message: bytes) -> M | None:
        """Returns one message; None if it is not used, unknown or malformed. Never raises."""
        try:
            return self._decode(message)
        except _UNREADABLE:
            pass
        try:
            found = _probe(message).type
        except _UNREADABLE:
            found = ""
        if found in self._ignored:
            return None
        known = found in {"Error", "Warning", "Results", "TurnInfo", "Flushed", "Cleared", "UtteranceEnd", "Connected"}
        self.anomalies[Anomaly.MALFORMED if known or not found else Anomaly.UNKNOWN_TYPE] += 1
        return None


def describe(anomalies: Counter[Anomaly]) -> str:
    """Returns the anomalies with their counts: `2 × malformed message, 1 × unknown message type`."""
    return ", ".join(f"{count} × {anomaly.value}" for anomaly, count in sorted(anomalies.items()))
