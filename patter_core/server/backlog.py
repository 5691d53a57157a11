"""The records that wait for a sink: bounded in number and in bytes, in order, and shed by importance. Sans-IO.

Records have ranks. Without room, the oldest record of the lowest rank is dropped, so that a burst of audio costs no
transcript, and nothing costs the end of a call: ends have room of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from patter_core.aio import DroppingQueue
from patter_core.events import (
    AudioCaptured,
    CallEnded,
    CallMoved,
    CallPriced,
    Event,
    MediaTrouble,
    MetricsReported,
    Record,
    ResponseDone,
    ResponseStart,
)

__all__ = ["ENDS_LIMIT", "Backlog", "bytes_of"]

ENDS_LIMIT = 100_000
"""Ends of calls that may wait for one sink: hours of a busy worker, some 150 MB."""
_USUAL_END = 20_000
"""Bytes of an end of a call that has all its metrics. Up to this, ends are bounded by their number alone."""

_AUDIO, _PROGRESS, _CONVERSATION, _END = range(4)
_RANKS: Mapping[type[Event], int] = {
    AudioCaptured: _AUDIO,
    MetricsReported: _PROGRESS,
    MediaTrouble: _PROGRESS,
    ResponseStart: _PROGRESS,
    ResponseDone: _PROGRESS,
    CallEnded: _END,
    CallMoved: _END,
    CallPriced: _END,
}
_FRAME = 600
"""Bytes of a record beside its event's texts."""
_SMALL = frozenset({float, int, bool, type(None)})
"""The commonest types, first."""


class Backlog(DroppingQueue[Record]):
    """Up to `limit` records and `max_bytes` of them, besides the ends of calls."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        super().__init__(limit, ranks=_END + 1, reserve=ENDS_LIMIT, max_weight=max_bytes)

    def add(self, record: Record, size: int) -> None:
        """Queues a record by its importance; `size` is its `bytes_of`. Never waits."""
        rank = _RANKS.get(type(record.event), _CONVERSATION)
        self.put(record, rank, 0 if rank == _END and size <= _USUAL_END else size)


def bytes_of(record: Record) -> int:
    """Returns about how much memory a record takes: exactly what its texts take."""
    event = record.event
    if isinstance(event, AudioCaptured):  # one for each frame
        return _FRAME + sys.getsizeof(event.base64)
    return _FRAME + _size(event)


def _size(value: object) -> int:
    kind = type(value)
    if kind in _SMALL:
        return 32
    if kind is str or kind is bytes:
        return sys.getsizeof(value)
    if isinstance(value, msgspec.Struct):
        return 64 + sum(map(_size, msgspec.structs.astuple(value)))
    if isinstance(value, tuple | list):
        return 64 + sum(map(_size, value))
    if isinstance(value, dict):
        return 64 + sum(map(_size, value)) + sum(map(_size, value.values()))
    return 32
