"""A call store in memory, for tests: it ends with the process, so no other worker can read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from patter_core.store import DEFAULT_EXPIRY, LINES_KEPT, CallStore, HistoryLine, Lease

__all__ = ["MemoryCallStore"]


class MemoryCallStore(CallStore):
    """Keeps the lines and the leases in dicts.

    Args:
        expiry: seconds for which a call is kept after its last line.
        clock: monotonic, in s.
    """

    name: ClassVar[str] = "memory"
    leases: ClassVar[bool] = True

    def __init__(self, *, expiry: float = DEFAULT_EXPIRY, clock: Callable[[], float] = time.monotonic) -> None:
        self._expiry = expiry
        self._clock = clock
        self._calls: dict[str, tuple[float, list[HistoryLine]]] = {}
        """The time of a call's last line, and its lines; the call that has been quiet for longest is first."""
        self._leases: dict[str, tuple[float, Lease]] = {}
        """When the time of a call's lease is up, and the lease."""
        self._over: set[Lease] = set()
        """Those that were released or taken."""

    async def append(self, call_id: str, line: HistoryLine) -> None:
        _, lines = self._calls.pop(call_id, (0.0, []))
        lines.append(line)
        del lines[:-LINES_KEPT]
        self._calls[call_id] = (self._clock(), lines)
        self._expire()

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        self._expire()
        return tuple(self._calls.get(call_id, (0.0, []))[1])

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        if lease in self._over:
            return False
        self._leases[lease.call_id] = (self._clock() + seconds, lease)
        return True

    async def release_lease(self, lease: Lease) -> None:
        _, kept = self._leases.get(lease.call_id, (0.0, lease))
        if lease.token:
            self._over.add(lease)
        if lease in {kept, Lease(lease.call_id)}:
            self._leases.pop(lease.call_id, None)

    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        now = self._clock()
        taken = [lease for until, lease in self._leases.values() if until <= now]
        self._over.update(taken)
        self._leases.update((lease.call_id, (now + seconds, lease)) for lease in taken)
        return taken

    def _expire(self) -> None:
        oldest = self._clock() - self._expiry
        while self._calls:
            call_id, (at, _) = next(iter(self._calls.items()))
            if at > oldest:
                return
            del self._calls[call_id]
