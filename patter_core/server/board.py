"""What the workers of one server tell each other of how they are: a line for each in memory that they share."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import tempfile
import time
from collections.abc import AsyncIterator

import anyio
import msgspec

from patter_core.server.call_table import CallTable

__all__ = ["HostHealth", "WorkerBoard", "new_board"]

_LINE = struct.Struct("<dIBB6x")
"""When it was written, calls, takes calls, drains."""
_EVERY = 1.0
"""Seconds between two lines of a worker."""
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
    os.ftruncate(file, workers * _LINE.size)
    return file


class WorkerBoard:
    """One worker's view of the board.

    Args:
        file: descriptor of the board, as `new_board` made it; it is closed. -1 for a worker that is alone.
        number: of this worker.
    """

    def __init__(self, file: int = -1, number: int = 0) -> None:
        size = _LINE.size if file < 0 else os.fstat(file).st_size
        self._memory = mmap.mmap(file, size)  # -1: of this process alone
        self._place = number * _LINE.size
        if file >= 0:
            os.close(file)

    @contextlib.asynccontextmanager
    async def serving(self, table: CallTable) -> AsyncIterator[None]:
        """Tells how this worker is, as long as the context lasts."""
        fault: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell, table)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - passed on as it is, and not in a group
                fault = error
            finally:
                tasks.cancel_scope.cancel()
        self._memory[self._place : self._place + _LINE.size] = bytes(_LINE.size)
        if fault is not None:
            raise fault

    async def _tell(self, table: CallTable) -> None:
        while True:
            self.write(table, time.monotonic())
            await anyio.sleep(_EVERY)

    def write(self, table: CallTable, now: float) -> None:
        """Writes the line of this worker; `now` on the monotonic clock, which all processes of a machine share."""
        _LINE.pack_into(self._memory, self._place, now, len(table), table.is_ready, table.draining)

    def health(self, now: float) -> HostHealth:
        """Returns how all workers are."""
        lines = list(_LINE.iter_unpack(self._memory[:]))
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
