"""Locks by name: what is done for one name is done by one task at a time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio

__all__ = ["KeyedLocks"]


class KeyedLocks:
    """A lock for each name that is held or waited for; the others cost nothing."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[anyio.Lock, int]] = {}
        """Each with the number of tasks that hold it or wait for it."""

    def __len__(self) -> int:
        return len(self._locks)

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Waits until no other task holds the lock of that name, and holds it."""
        lock, users = self._locks.get(name) or (anyio.Lock(), 0)
        self._locks[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = lock, users - 1
