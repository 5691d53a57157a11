"""What the workers of one server tell each other in memory that they share: how they are, and what they do with calls.

Each worker writes its own part, and reads all. A carrier brings the audio of a call to any worker: the one that dialled
the call, or had it before, learns here within a second that another one has it, and ends it as moved. It also learns of
the message for an answering machine that another worker has the carrier leave. It looks, too, before it tells an end
that the carrier reports. Between machines, and for what is not read in time, the carrier is asked
(`CarrierReports.look_up`).
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Iterator

import anyio
import msgspec

from patter_core.aio.tasks_beside import tasks_beside
from patter_core.call.state import Signal
from patter_core.server.call_table import WITHOUT_AUDIO, CallTable
from patter_core.telephony.leg import AnsweredBy, Leg

__all__ = ["HostHealth", "WorkerBoard", "new_board"]

_LINE = struct.Struct("<dIBB6x")
"""When it was written, calls, takes calls, drains."""
_NOTE = struct.Struct("<16sII")
"""A digest of the call's id, how many streams it has had with this one, or a report, and the checksum of both.

Or a digest of a leg, and `_ENDED`."""
_NOTES = 1024
"""The latest notes of each worker that are kept: one that takes all calls of another one has 500 streams by default."""
_REPORTS = {who: 2**32 - 1 - number for number, who in enumerate(AnsweredBy)}
"""Reports of machines that this worker has taken."""
_MESSAGE = _REPORTS[AnsweredBy.MACHINE_READY]
"""That of a machine which takes a message: this worker has the carrier leave it, if there is one."""
_ENDED = 0
"""The leg that is named in place of a call is over."""
_FIRST_REPORT = min(_REPORTS.values())
_PART = _LINE.size + _NOTES * _NOTE.size
"""Bytes of one worker: its line, then its notes."""
_EVERY = 1.0
"""Seconds between two lines of a worker, and two looks at the notes of others."""
_FRESH = 5.0
"""Seconds after which a worker that writes no line does not answer: it has died, or its event loop is blocked."""


class HostHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What `/health` answers: of all workers of this server."""

    ready: bool
    """True if one of them takes a new call."""
    workers: int
    """How many there are to be."""
    alive: int
    """Those that answer."""
    taking_calls: int
    draining: int
    calls: int
    """Live calls of all."""


def new_board(workers: int) -> int:
    """Returns the file descriptor of a board for that many workers, to be passed to them."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("patter-workers")
    else:
        with tempfile.TemporaryFile() as kept:
            file = os.dup(kept.fileno())
    os.ftruncate(file, workers * _PART)
    return file


class WorkerBoard:
    """One worker's view of the board. Implements `OtherWorkers`.

    Args:
        file: descriptor of the board, as `new_board` made it; it is closed. -1 for a worker that is alone.
        number: of this worker.
    """

    def __init__(self, file: int = -1, number: int = 0) -> None:
        size = _PART if file < 0 else os.fstat(file).st_size
        self._memory = mmap.mmap(file, size)  # -1: of this process alone
        self._parts = range(0, size, _PART)
        self._place = number * _PART
        self._next = 0  # of our notes
        if file >= 0:
            os.close(file)

    @contextlib.asynccontextmanager
    async def serving(self, table: CallTable) -> AsyncIterator[None]:
        """Tells how this worker is, as long as the context lasts."""
        table.others = self
        try:
            async with tasks_beside() as tasks:
                tasks.start_soon(self._tell, table)
                yield
        finally:
            self._memory[self._place : self._place + _LINE.size] = bytes(_LINE.size)

    async def _tell(self, table: CallTable) -> None:
        while True:
            self.write(table, time.monotonic())
            self.look(table)
            await anyio.sleep(_EVERY)

    def write(self, table: CallTable, now: float) -> None:
        """Writes the line of this worker; `now` on the monotonic clock, which all processes of a machine share."""
        _LINE.pack_into(self._memory, self._place, now, len(table), table.is_ready, table.draining)

    def health(self, now: float) -> HostHealth:
        """Returns how all workers are."""
        lines = [_LINE.unpack_from(self._memory, part) for part in self._parts]
        alive = [line for line in lines if line[0] and now - line[0] < _FRESH]
        taking = sum(takes for _, _, takes, _ in alive)
        return HostHealth(
            ready=taking > 0,
            workers=len(lines),
            alive=len(alive),
            taking_calls=taking,
            draining=sum(drains for _, _, _, drains in alive),
            calls=sum(calls for _, calls, _, _ in alive),
        )

    # --- calls -----------------------------------------------------------------------------------------------------

    def note_stream(self, call_id: str, streams: int) -> None:
        """A stream of a call came to this worker.

        Args:
            call_id: Patter's own.
            streams: how many the call had before.
        """
        self._note(_packed(call_id, streams + 1))

    def note_end(self, leg: Leg) -> None:
        """The carrier reported to this worker that a leg is over, which is not here."""
        self._note(_packed(_name_of(leg), _ENDED))

    def take_report(self, call_id: str, who: AnsweredBy) -> Callable[[], None] | None:
        """This worker takes a report of a machine. Returns what takes that back; None if another one has taken it.

        Two that are told in the same moment may both take it: that is no repetition.
        """
        note = _packed(call_id, _REPORTS[who])
        others = (part + _LINE.size for part in self._parts if part != self._place)
        if any(self._memory.find(note, notes, notes + _PART - _LINE.size) >= 0 for notes in others):
            return None
        return self._note(note)

    def _note(self, note: bytes) -> Callable[[], None]:
        place = self._place + _LINE.size + self._next * _NOTE.size
        self._next = (self._next + 1) % _NOTES
        self._memory[place : place + _NOTE.size] = note

        def take_back() -> None:
            if self._memory[place : place + _NOTE.size] == note:
                self._memory[place : place + _NOTE.size] = bytes(_NOTE.size)

        return take_back

    def look(self, table: CallTable) -> None:
        """Reads what other workers do with calls of this one.

        One of which a later stream is elsewhere ends. One that has a place here is elsewhere then, too, or is over.
        """
        watched = {_digest(call.call_id): call for call in table.watched}
        reserved = {_digest(call.call_id): call for call in table.reserved}
        legs = {_digest(_name_of(call.leg)): call.leg for call in reserved.values()}
        if not watched and not reserved:
            return
        messages: set[bytes] = set()
        for digest, count in self._notes_about(watched.keys() | reserved.keys() | legs.keys()):
            if digest in legs:
                table.reserved.drop(legs[digest])
                continue
            is_report = count >= _FIRST_REPORT
            if not is_report and digest in reserved:
                table.reserved.note_stream(reserved[digest].leg, count)
            if (call := watched.get(digest)) is None:
                continue
            if is_report and count == _MESSAGE and call.context.token.options.voicemail_message:
                messages.add(digest)
            elif not is_report and call.state in WITHOUT_AUDIO and count > call.context.streams_here:
                call.context.signal(Signal.MOVED)
        for digest, call in watched.items():
            call.context.message_elsewhere = digest in messages  # it may have been taken back

    def _notes_about(self, wanted: Collection[bytes]) -> Iterator[tuple[bytes, int]]:
        """The notes of the other workers about calls of these digests."""
        for part in self._parts:
            if part == self._place:
                continue
            for digest, count, checksum in _NOTE.iter_unpack(self._memory[part + _LINE.size : part + _PART]):
                if digest in wanted and checksum == _checksum(digest, count):  # half written: the next look has it
                    yield digest, count


def _name_of(leg: Leg) -> str:
    """Returns a text for a leg that is no id of a call."""
    return " ".join(leg.key)


def _packed(name: str, count: int) -> bytes:
    digest = _digest(name)
    return _NOTE.pack(digest, count, _checksum(digest, count))


def _digest(call_id: str) -> bytes:
    return hashlib.blake2b(call_id.encode(), digest_size=16).digest()


def _checksum(digest: bytes, count: int) -> int:
    return zlib.crc32(digest, count)
