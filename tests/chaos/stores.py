"""A call store that several processes share: one file a call, and one for the leases."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from patter_core.store import CallStore, HistoryLine, Lease, decode_lines, encode_line

__all__ = ["FileStore"]


class _Leases(msgspec.Struct):
    until: dict[str, tuple[float, Lease]] = {}
    over: list[Lease] = []


class FileStore(CallStore):
    name = "file"
    leases = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def append(self, call_id: str, line: HistoryLine) -> None:
        with (self._folder / call_id).open("ab") as file:
            file.write(encode_line(line) + b"\n")

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        path = self._folder / call_id
        lines = path.read_bytes().splitlines() if path.exists() else []
        return decode_lines(lines)

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        with self._changed() as kept:
            if lease in kept.over:
                return False
            kept.until[lease.call_id] = (time.time() + seconds, lease)
            return True

    async def release_lease(self, lease: Lease) -> None:
        with self._changed() as kept:
            _, present = kept.until.get(lease.call_id, (0.0, lease))
            kept.over += [lease] if lease.token else []
            if lease in {present, Lease(lease.call_id)}:
                kept.until.pop(lease.call_id, None)

    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        with self._changed() as kept:
            taken = [lease for until, lease in kept.until.values() if until <= time.time()]
            kept.over += taken
            kept.until.update((lease.call_id, (time.time() + seconds, lease)) for lease in taken)
            return taken

    @property
    def held(self) -> int:
        """How many leases there are."""
        with self._changed() as kept:
            return len(kept.until)

    @contextlib.contextmanager
    def _changed(self) -> Iterator[_Leases]:
        """The file is replaced as a whole: a process may be killed at any time, and its lock is given back."""
        path = self._folder / "leases"
        with (self._folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = msgspec.json.decode(path.read_bytes() if path.exists() else b"{}", type=_Leases)
            yield kept
            changed = path.with_suffix(".new")
            changed.write_bytes(msgspec.json.encode(kept))
            changed.replace(path)
