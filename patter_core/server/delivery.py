"""Carries records to the sinks: a bounded backlog and a task for each, so that no sink can hold up a call."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Sequence

import anyio

from patter_core.errors import SinkUnavailable
from patter_core.events import CallEnded, Record
from patter_core.observe.redaction import Redaction, Redactor
from patter_core.server.backlog import Backlog
from patter_core.sink import EventSink, SinkFigures, SinkStatistics

__all__ = ["BREAKER_FAILURES", "Delivery", "SinkQueue"]

_log = logging.getLogger("patter.sinks")

BREAKER_FAILURES = 5
"""Failures in a row, after which a sink is only tried now and then."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
"""Seconds between two attempts: doubled from the first for each failure, and the longest once the breaker is open."""

_CLOSE_TIME = 1.0
"""Seconds that sinks have at least to close."""


class SinkQueue:
    """One sink and what waits for it, under a name of its own: by default the sink's.

    A batch that cannot be written now is kept and tried again, with growing pauses; after five failures in a row the
    breaker is open and the pauses are long. New records wait in the backlog, as far as it has room.
    """

    def __init__(
        self,
        sink: EventSink,
        *,
        name: str = "",
        limit: int = 0,
        write_timeout: float = 0.0,
        first_pause: float = _FIRST_PAUSE,
        longest_pause: float = _LONGEST_PAUSE,
    ) -> None:
        self.sink = sink
        self.name = name or sink.name
        self.written = 0
        self.failures = 0
        self._write_timeout = write_timeout or sink.write_timeout
        self._pauses = (first_pause, longest_pause)
        self._failed_in_a_row = 0
        self.backlog = Backlog(limit or sink.backlog)
        self._batch: list[Record] = []
        """What is being written: kept until it is."""
        self._again: deque[Record] = deque()
        """Ends of calls from batches that the sink refused: each is tried once more, alone."""
        self._lost = 0

    @property
    def waiting(self) -> int:
        """Records that wait, including those that are being written."""
        return len(self.backlog) + len(self._batch) + len(self._again)

    @property
    def dropped(self) -> int:
        """Records that never reached the sink."""
        return self.backlog.dropped + self._lost

    @property
    def open(self) -> bool:
        """True while the breaker is open."""
        return self._failed_in_a_row >= BREAKER_FAILURES

    def figures(self) -> SinkFigures:
        """Returns the counters of the sink."""
        return SinkFigures(
            sink=self.name,
            waiting=self.waiting,
            written=self.written,
            dropped=self.dropped,
            failures=self.failures,
            open=self.open,
        )

    def put(self, record: Record) -> None:
        """Queues a record. Never waits."""
        self.backlog.add(record)

    async def run(self) -> None:
        """Writes batches until cancelled."""
        while True:
            if not self.waiting:
                await self.backlog.wait()
            if not self._batch and self.sink.batch_age:
                with anyio.move_on_after(self.sink.batch_age):
                    await self.backlog.wait(self.sink.batch_size)
            if not await self._write_batch():
                await anyio.sleep(self._pause())

    async def run_sink(self, statistics: SinkStatistics) -> None:
        """Runs the sink's own background work; if it fails, again after a pause."""
        while True:
            try:
                await self.sink.run(statistics)
            except Exception:  # noqa: BLE001 - the plugin boundary: a sink's fault is logged and stays here
                _log.exception("Sink %s failed in its background work; it is started again.", self.name)
                await anyio.sleep(self._pauses[1])
            else:
                return

    async def flush(self) -> None:
        """Writes what waits. A sink whose breaker is open is tried once."""
        while self.waiting and (await self._write_batch() or not self.open):
            if self._failed_in_a_row:
                await anyio.sleep(self._pauses[0])

    async def close(self) -> None:
        """Closes the sink."""
        try:
            await self.sink.aclose()
        except Exception:  # noqa: BLE001 - the plugin boundary: a sink's fault is logged and stays here
            _log.exception("Sink %s failed to close.", self.name)

    def give_up(self) -> None:
        """Counts what still waits as lost, because there is no more time."""
        if self.waiting:
            _log.error("Sink %s did not take %d records in time; they are dropped.", self.name, self.waiting)
            self._lost += len(self._batch) + len(self._again)
            self._batch = []
            self._again.clear()
            self.backlog.clear()

    def _pause(self) -> float:
        first, longest = self._pauses
        if self.open:
            return longest
        grown: float = first * 2 ** (self._failed_in_a_row - 1)
        return min(longest, grown) * random.uniform(0.5, 1.0)

    async def _write_batch(self) -> bool:
        """Writes one batch; False after a failure."""
        if not self._batch:
            self._batch = [self._again.popleft()] if self._again else self.backlog.take(self.sink.batch_size)
        batch = self._batch
        try:
            with anyio.fail_after(self._write_timeout):
                await self.sink.write(batch)
        except (OSError, SinkUnavailable) as error:  # a TimeoutError is an OSError
            self._has_failed(f"took longer than {self._write_timeout:g} s" if _hung(error) else f"failed: {error}")
            return False
        except Exception:  # noqa: BLE001 - the plugin boundary: a sink's fault is logged and stays here
            self._refused(batch)
            return False
        self._batch = []
        self.written += len(batch)
        if self.open:
            _log.warning("Sink %s works again.", self.name)
        self._failed_in_a_row = 0
        return True

    def _has_failed(self, what: str) -> None:
        self.failures += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row == 1:
            _log.warning("Sink %s %s. It is tried again.", self.name, what)
        elif self._failed_in_a_row == BREAKER_FAILURES:
            _log.error(
                "Sink %s %s, %d times in a row. It is tried every %g s.",
                self.name,
                what,
                BREAKER_FAILURES,
                self._pauses[1],
            )

    def _refused(self, batch: list[Record]) -> None:
        """The sink raised an error of its own: the batch is dropped, but ends of calls are tried once more, alone."""
        _log.exception("Sink %s failed; %d records are dropped.", self.name, len(batch))
        self.failures += 1
        self._failed_in_a_row += 1
        ends = [record for record in batch if isinstance(record.event, CallEnded)] if len(batch) > 1 else []
        self._again.extend(ends)
        self._lost += len(batch) - len(ends)
        self._batch = []


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
        self._redactor = Redactor(redaction or Redaction())
        self._audio_queues = tuple(queue for queue in self.queues if queue.sink.takes_audio)

    def put(self, record: Record) -> None:
        """Queues a record for every sink. Never waits."""
        if self.queues:
            redacted = self._redactor.apply(record)
            for queue in self.queues:
                queue.put(redacted)

    def put_audio(self, record: Record) -> None:
        """Queues a record with audio for the sinks that want it. Never waits."""
        for queue in self._audio_queues:
            queue.put(record)

    def recordings(self, call_id: str) -> list[tuple[str, str]]:
        """Returns the sink's name and the location of each recording that will be made of the call."""
        places = ((queue.name, _location(queue, call_id)) for queue in self.queues)
        return [(name, location) for name, location in places if location]

    def figures(self) -> list[SinkFigures]:
        """Returns the counters of each sink."""
        return [queue.figures() for queue in self.queues]

    async def run(self) -> None:
        """Serves all sinks until cancelled."""
        async with anyio.create_task_group() as tasks:
            for queue in self.queues:
                tasks.start_soon(queue.run)
                tasks.start_soon(queue.run_sink, self.figures)

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


def _hung(error: Exception) -> bool:
    return isinstance(error, TimeoutError) and not error.args


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


def _location(queue: SinkQueue, call_id: str) -> str:
    try:
        return queue.sink.recording(call_id)
    except Exception:  # noqa: BLE001 - the plugin boundary
        _log.exception("Sink %s failed to return where it records.", queue.name)
        return ""
