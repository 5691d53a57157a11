"""What waits for a sink: bounded, in order, and with an opinion of what matters. Sans-IO.

Records have ranks. Without room, the oldest of the lowest rank that is there goes, so that a storm of audio costs no
transcript, and nothing at all costs a call's end: ends have room of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

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
"""Calls' ends that wait for one sink: hours of a busy worker, some 150 MB, and beyond that memory comes first."""

_AUDIO, _PROGRESS, _STORY, _END = range(4)
_RANKS: Mapping[type[Event], int] = {
    AudioCaptured: _AUDIO,
    MetricsReported: _PROGRESS,
    MediaTrouble: _PROGRESS,
    ResponseStart: _PROGRESS,
    ResponseDone: _PROGRESS,
    CallEnded: _END,
    CallPriced: _END,
}


class Backlog:
    """Records in order of arrival, up to `limit` besides the calls' ends."""

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        """Records that had no room."""
        self._limit = limit
        self._number = 0
        self._waiting = 0
        self._ranks: tuple[deque[tuple[int, Record]], ...] = tuple(deque() for _ in range(_END + 1))

    def __len__(self) -> int:
        return self._waiting + len(self._ranks[_END])

    def put(self, record: Record) -> None:
        """Keep a record; without room, something less important goes."""
        rank = _RANKS.get(type(record.event), _STORY)
        self._number += 1
        self._ranks[rank].append((self._number, record))
        if rank == _END:
            if len(self._ranks[_END]) > ENDS_LIMIT:
                self._ranks[_END].popleft()
                self.dropped += 1
            return
        self._waiting += 1
        if self._waiting > self._limit:
            next(filter(None, self._ranks)).popleft()
            self._waiting -= 1
            self.dropped += 1

    def take(self, size: int) -> list[Record]:
        """The oldest records, at most so many."""
        taken: list[Record] = []
        while len(taken) < size and (heads := [rank for rank in self._ranks if rank]):
            oldest = min(heads, key=_number_of_first)
            taken.append(oldest.popleft()[1])
            self._waiting -= oldest is not self._ranks[_END]
        return taken


def _number_of_first(rank: deque[tuple[int, Record]]) -> int:
    return rank[0][0]
