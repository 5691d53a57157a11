"""Carry records to the sinks: a bounded queue and a task for each, so that no sink can hold up a call."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import anyio

from patter_core.events import CallEnded, Record
from patter_core.sink import EventSink

__all__ = ["SinkHost", "SinkQueue"]

_log = logging.getLogger("patter.sinks")

_QUEUE_LIMIT = 10_000
"""Records that wait for one sink: about a minute of 500 busy calls."""
_BATCH_LIMIT = 500
_WRITE_TIMEOUT = 10.0
"""Seconds for one batch."""


class SinkQueue:
    """One sink and what waits for it."""

    def __init__(self, sink: EventSink, *, limit: int = _QUEUE_LIMIT, write_timeout: float = _WRITE_TIMEOUT) -> None:
        self.sink = sink
        self.dropped = 0
        """Records that never reached the sink: no room, or a batch that failed."""
        self._limit = limit
        self._write_timeout = write_timeout
        self._waiting: deque[Record] = deque()
        self._ends: deque[Record] = deque()
        self._wake = anyio.Event()

    @property
    def waiting(self) -> int:
        """Records that wait."""
        return len(self._waiting)

    def put(self, record: Record) -> None:
        """Queue a record; with no room the oldest goes, but never the end of a call."""
        waiting = self._waiting
        if len(waiting) >= self._limit:
            self.dropped += 1
            oldest = waiting.popleft()
            if isinstance(oldest.event, CallEnded):
                self._ends.append(oldest)  # goes first in the next batch, and is bounded by the calls there were
                self.dropped -= 1
        waiting.append(record)
        self._wake.set()

    async def run(self) -> None:
        """Hand over batches until cancelled."""
        while True:
            await self._wake.wait()
            await self._write_batch()

    async def drain(self) -> None:
        """Hand over what waits, then free the sink."""
        while self._waiting or self._ends:
            await self._write_batch()
        try:
            with anyio.move_on_after(self._write_timeout):
                await self.sink.aclose()
        except Exception:  # noqa: BLE001 - the plugin boundary: a sink's fault is told and stays here
            _log.exception("Sink %s failed to close.", self.sink.name)

    async def _write_batch(self) -> None:
        batch = list(self._ends)
        self._ends.clear()
        while self._waiting and len(batch) < _BATCH_LIMIT:
            batch.append(self._waiting.popleft())
        if not self._waiting:
            self._wake = anyio.Event()
        if not batch:
            return
        try:
            with anyio.fail_after(self._write_timeout):
                await self.sink.write(batch)
        except anyio.get_cancelled_exc_class():
            self._waiting.extendleft(reversed(batch))  # for drain(): a sink may see a batch twice, never half of it
            raise
        except TimeoutError:
            self.dropped += len(batch)
            _log.error(
                "Sink %s took longer than %g s for %d records; they are dropped.",
                self.sink.name,
                self._write_timeout,
                len(batch),
            )
        except Exception:  # noqa: BLE001 - the plugin boundary: a sink's fault is told and stays here
            self.dropped += len(batch)
            _log.exception("Sink %s failed; %d records are dropped.", self.sink.name, len(batch))


class SinkHost:
    """All sinks of a host. Without any, a record costs nothing."""

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self.queues = tuple(SinkQueue(sink) for sink in sinks)

    def put(self, record: Record) -> None:
        """Queue a record for every sink. Never waits."""
        for queue in self.queues:
            queue.put(record)

    async def run(self) -> None:
        """Serve all sinks until cancelled."""
        async with anyio.create_task_group() as tasks:
            for queue in self.queues:
                tasks.start_soon(queue.run)

    async def drain(self) -> None:
        """Hand over what waits, to all sinks at once."""
        async with anyio.create_task_group() as tasks:
            for queue in self.queues:
                tasks.start_soon(queue.drain)
