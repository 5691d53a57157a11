"""Records in memory, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio

from patter_core.events import Record
from patter_core.sink import EventSink

__all__ = ["MemorySink"]


class MemorySink(EventSink):
    """Keeps the records in a list, for a test to read."""

    name: ClassVar[str] = "memory"
    batch_age: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._more = anyio.Event()

    async def write(self, records: Sequence[Record]) -> None:
        self.records.extend(records)
        self._more.set()
        self._more = anyio.Event()

    def of(self, kind: str) -> list[Record]:
        """Returns the records of one kind of event, by its tag."""
        return [record for record in self.records if record.event.kind == kind]

    async def wait_for(self, kind: str, count: int = 1) -> list[Record]:
        """Returns the records of that kind once there are `count` of them."""
        while len(found := self.of(kind)) < count:
            await self._more.wait()
        return found
