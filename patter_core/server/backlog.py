"""The records that wait for a sink: bounded, in order, and shed by importance. Sans-IO.

Records have ranks. Without room, the oldest record of the lowest rank is dropped, so that a burst of audio costs no
transcript, and nothing costs the end of a call: ends have room of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

from patter_core.aio import DroppingQueue
from patter_core.events import (
    AudioCaptured,
    CallEnded,
    CallPriced,
    Event,
    MediaTrouble,
    MetricsReported,
    Record,
    ResponseDone,
    ResponseStart,
)

__all__ = ["ENDS_LIMIT", "Backlog"]

ENDS_LIMIT = 100_000
"""Ends of calls that may wait for one sink: hours of a busy worker, some 150 MB."""

_AUDIO, _PROGRESS, _CONVERSATION, _END = range(4)
_RANKS: Mapping[type[Event], int] = {
    AudioCaptured: _AUDIO,
    MetricsReported: _PROGRESS,
    MediaTrouble: _PROGRESS,
    ResponseStart: _PROGRESS,
    ResponseDone: _PROGRESS,
    CallEnded: _END,
    CallPriced: _END,
}


class Backlog(DroppingQueue[Record]):
    """Up to `limit` records besides the ends of calls."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, ranks=_END + 1, reserve=ENDS_LIMIT)

    def add(self, record: Record) -> None:
        """Queues a record by its importance. Never waits."""
        self.put(record, _RANKS.get(type(record.event), _CONVERSATION))
