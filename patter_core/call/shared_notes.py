"""What workers tell each other of a call in the store that they share, between hosts, too.

A worker notes each stream that comes to it, and each report of an answering machine that it takes. From that the others
know at the end of a call whose end it is, and that a report which comes again was taken.
"""

from __future__ import annotations

import secrets

import msgspec

from patter_core.call.history import HistoryWriter
from patter_core.store import HistoryLine, WorkerNote
from patter_core.telephony.leg import AnsweredBy

__all__ = ["OthersNotes", "SharedNotes"]

_TIMEOUT = 2.0
"""Seconds for a note to be in the store."""
_STREAMS = "streams"


class OthersNotes(msgspec.Struct, frozen=True):
    """What other workers have noted of a call."""

    streams: int = 0
    """How many streams the call has had, up to the last that came to another worker; 0 if none did."""
    leaves_message: bool = False
    """True if another worker was told of a machine that takes a message, and did not fail to leave it."""


class SharedNotes:
    """The notes of one worker. Without a store it notes nothing, and there are no others.

    Args:
        history: has the store.
    """

    def __init__(self, history: HistoryWriter) -> None:
        self._history = history
        self._worker = secrets.token_hex(8)

    def note_stream(self, call_id: str, streams: int) -> None:
        """A stream of a call came to this worker. Never waits.

        Args:
            call_id: Patter's own.
            streams: how many the call has had with this one.
        """
        self._history.put(call_id, self._line(_STREAMS, streams))

    async def take_report(self, call_id: str, who: AnsweredBy) -> bool:
        """This worker takes a report of a machine. False if another one has taken it before.

        The first note in the store holds. Without an answer of the store it is taken: most reports come once.
        """
        if not await self._history.stored(self._history.put(call_id, self._line(who, 1)), _TIMEOUT):
            return True
        takers = [note.worker for note in await self._notes(call_id) if note.about == who]
        return not takers or takers[0] == self._worker

    def take_back(self, call_id: str, who: AnsweredBy) -> None:
        """This worker has left no message after that report. Never waits."""
        self._history.put(call_id, self._line(who, 0))

    async def of_others(self, call_id: str) -> OthersNotes:
        """Returns what other workers have noted; nothing if the store does not answer in time. Never raises."""
        notes = [note for note in await self._notes(call_id) if note.worker != self._worker]
        streams = max((note.count for note in notes if note.about == _STREAMS), default=0)
        left = [note.count for note in notes if note.about == AnsweredBy.MACHINE_READY]
        return OthersNotes(streams, leaves_message=bool(left and left[-1]))

    async def _notes(self, call_id: str) -> list[WorkerNote]:
        lines = await self._history.history(call_id)
        return [line.item for line in lines if isinstance(line.item, WorkerNote)]

    def _line(self, about: str, count: int) -> HistoryLine:
        note = WorkerNote(worker=self._worker, about=about, count=count)
        return HistoryLine(f"note.{about}.{self._worker}", note)
