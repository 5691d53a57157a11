"""The records of all calls of a worker as they happen, for any number of readers: a bounded ring with positions."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import AsyncIterator

import msgspec

from patter_core.aio import Changes
from patter_core.app import FeedItem
from patter_core.events import Record

__all__ = ["Feed", "Kept"]

_LIMIT = 5_000
"""Records: some minutes of a busy worker."""
_MAX_BYTES = 16_000_000


class Kept(msgspec.Struct, frozen=True):
    """A record, as it is kept in memory."""

    redacted: Record
    raw: Record | None
    """With numbers and transcripts, without secrets; None if nothing may show them."""
    size: int
    """Bytes, about."""

    def shown(self, *, unmasked: bool) -> Record:
        """Returns the record for a reader."""
        return self.raw if unmasked and self.raw is not None else self.redacted


class Feed:
    """Keeps the latest records. Putting one never waits; a reader that is too slow loses the oldest, and is told.

    A record that is there already is not added again: the worker's own come back from an archive that it shares.

    Args:
        limit: records.
        max_bytes: of them all.
    """

    def __init__(self, limit: int = _LIMIT, max_bytes: int = _MAX_BYTES) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._kept: deque[Kept] = deque()
        self._ids: set[str] = set()
        self._bytes = 0
        self.readers = 0
        """How many read now."""
        self._first = 1
        """The number of the oldest record that is kept."""
        self._epoch = secrets.token_hex(4)
        """Of this feed: positions of another worker's mean nothing here."""
        self._changes = Changes()
        self._closed = False

    @property
    def position(self) -> str:
        """Where the feed is now: behind the latest record."""
        return self._position(self._next - 1)

    @property
    def _next(self) -> int:
        return self._first + len(self._kept)

    def put(self, kept: Kept) -> None:
        """Adds a record."""
        if kept.redacted.id in self._ids:
            return
        self._ids.add(kept.redacted.id)
        self._kept.append(kept)
        self._bytes += kept.size
        while len(self._kept) > self._limit or (self._bytes > self._max_bytes and len(self._kept) > 1):
            oldest = self._kept.popleft()
            self._ids.discard(oldest.redacted.id)
            self._bytes -= oldest.size
            self._first += 1
        self._changes.notify()

    def close(self) -> None:
        """Ends all readers once they have read what is there."""
        self._closed = True
        self._changes.notify()

    def open(self) -> None:
        """Takes readers again."""
        self._closed = False

    async def read(self, after: str = "", *, unmasked: bool = False) -> AsyncIterator[FeedItem]:
        """As `PhoneView.feed`."""
        number, lost = self._start(after)
        self.readers += 1
        try:
            while True:
                await self._changes.wait_until(lambda number=number: self._closed or number < self._next)  # type: ignore[misc] # the default binds it
                if number >= self._next:
                    return
                if number < self._first:
                    lost += self._first - number
                    number = self._first
                record = self._kept[number - self._first].shown(unmasked=unmasked)
                yield FeedItem(self._position(number), record, lost)
                number, lost = number + 1, 0
        finally:
            self.readers -= 1

    def _start(self, after: str) -> tuple[int, int]:
        """Returns the number of the first record for a reader, and what it has lost before."""
        if not after:
            return self._next, 0
        epoch, _, number = after.partition(".")
        if epoch == self._epoch and number.isascii() and number.isdecimal() and len(number) < 20:
            return min(int(number) + 1, self._next), 0
        return self._first, -1

    def _position(self, number: int) -> str:
        return f"{self._epoch}.{number}"
