"""Records in memory, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from patter_core.aio import Changes
from patter_core.events import Record
from patter_core.sink import EventSink

__all__ = ["MemorySink"]


class MemorySink(EventSink):
    """Keeps the records in a list, for a test to read."""

    name: ClassVar[str] = "memory"
    batch_age: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._changes = Changes()

    async def write(self, records: Sequence[Record]) -> None:
        self.records.extend(records)
        self._changes.notify()

    def of(self, kind: str) -> list[Record]:
        """Returns the records of one kind of event, by its tag."""
        return [record for record in self.records if record.event.kind == kind]

    async def wait_for(self, kind: str, count: int = 1) -> list[Record]:
        """Returns the records of that kind once there are `count` of them."""
        await self._changes.wait_until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)
