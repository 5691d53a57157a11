"""Carries records to the sinks: a bounded backlog and a task for each, so that no sink can hold up a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import msgspec

from patter_core.events import Record
from patter_core.observe.redaction import Redaction, Redactor
from patter_core.server.backlog import bytes_of
from patter_core.server.sink_queue import LEAVE_TIME, SinkQueue
from patter_core.sink import EventSink, SinkFigures, WorkerFigures, WorkerStatistics

__all__ = ["Delivery"]

_CLOSE_TIME = LEAVE_TIME + 1.0
"""Seconds that sinks have at least to end what they do, and to close."""


class Delivery:
    """All sinks of a worker. Without any, a record costs nothing.

    Args:
        sinks: where records go.
        redaction: what is removed from a record before it is queued anywhere.
    """

    def __init__(self, sinks: Sequence[EventSink], redaction: Redaction | None = None) -> None:
        self.queues = tuple(SinkQueue(sink, name=name) for sink, name in zip(sinks, _names(sinks), strict=True))
        self.takes_audio = any(sink.takes_audio for sink in sinks)
        """True if a sink wants audio."""
        self.taps: list[Callable[[Record, Record, int], None]] = []
        """Each also gets every record, as it is and redacted, with its size. Must not wait."""
        self._redactor = Redactor(redaction or Redaction())
        self._audio_queues = tuple(queue for queue in self.queues if queue.sink.takes_audio)

    @property
    def is_wanted(self) -> bool:
        """True if a record goes anywhere."""
        return bool(self.queues or self.taps)

    def put(self, record: Record) -> None:
        """Queues a record for every sink. Never waits."""
        if self.is_wanted:
            redacted = self._redactor.apply(record)
            size = bytes_of(redacted)
            for tap in self.taps:
                tap(record, redacted, size)
            for queue in self.queues:
                queue.put(redacted, size)

    def put_audio(self, record: Record) -> None:
        """Queues a record with audio for the sinks that want it. Never waits."""
        size = bytes_of(record)
        for queue in self._audio_queues:
            queue.put(record, size)

    def recordings(self, call_id: str) -> list[tuple[str, str]]:
        """Returns the sink's name and the location of each recording that will be made of the call."""
        places = ((queue.name, queue.recording(call_id)) for queue in self.queues)
        return [(name, location) for name, location in places if location]

    def figures(self) -> list[SinkFigures]:
        """Returns the counters of each sink."""
        return [queue.figures() for queue in self.queues]

    async def run(self, worker: WorkerStatistics = WorkerFigures) -> None:
        """Serves all sinks until cancelled, and first tells what their own checks find.

        Args:
            worker: returns the figures of the worker; those of the sinks are added to them.
        """

        def statistics() -> WorkerFigures:
            return msgspec.structs.replace(worker(), sinks=tuple(self.figures()))

        async with anyio.create_task_group() as tasks:
            for queue in self.queues:
                tasks.start_soon(queue.check)
                tasks.start_soon(queue.run)
                tasks.start_soon(queue.run_sink, statistics)

    async def drain(self, within: float = 5.0) -> None:
        """Writes what waits, to all sinks at once, and closes them.

        What is not taken within that time (s) is dropped and counted.
        """
        deadline = anyio.current_time() + within
        with anyio.move_on_at(deadline):
            async with anyio.create_task_group() as tasks:
                for queue in self.queues:
                    tasks.start_soon(queue.flush)
        for queue in self.queues:
            queue.give_up()
        with anyio.move_on_at(max(deadline, anyio.current_time() + _CLOSE_TIME)):
            async with anyio.create_task_group() as tasks:
                for queue in self.queues:
                    tasks.start_soon(queue.close)


def _names(sinks: Sequence[EventSink]) -> list[str]:
    """Returns a name for each sink, unique and in order: `jsonl`, `jsonl-2`, `jsonl-3`."""
    classes = {sink.name for sink in sinks}
    names: list[str] = []
    for sink in sinks:
        name, number = sink.name, 1
        while name in names or (number > 1 and name in classes):
            number += 1
            name = f"{sink.name}-{number}"
        names.append(name)
    return names
