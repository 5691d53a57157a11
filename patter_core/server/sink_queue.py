"""One sink and what waits for it: batches, tries, the breaker, and a wall around the sink's code."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections import deque
from collections.abc import Sequence

import anyio

from patter_core.aio.foreign import as_exception, run_foreign
from patter_core.aio.one_at_a_time import OneAtATime
from patter_core.aio.tries import Tries
from patter_core.checks import Level
from patter_core.errors import ConfigurationError, ForeignHang, SinkRefused, SinkUnavailable
from patter_core.events import CallEnded, Record
from patter_core.observe.terminal import counted
from patter_core.observe.told import Told, kind_of
from patter_core.server.backlog import Backlog, bytes_of
from patter_core.sink import EventSink, SinkFigures, WorkerStatistics
from patter_core.storage.files import is_lasting

__all__ = ["BREAKER_FAILURES", "LEAVE_TIME", "SinkQueue"]

_log = logging.getLogger("patter.sinks")

BREAKER_FAILURES = 5
"""Failures in a row, after which a sink is only tried now and then."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
"""Seconds between two attempts: doubled from the first for each failure, and the longest once the breaker is open."""
_WORKED = 1.0
"""Seconds after which `run` counts as having worked."""
_CHECK_TIMEOUT = 15.0
LEAVE_TIME = 0.5
"""Seconds that work of a sink that is no longer waited for has to end, before the sink is closed."""


class SinkQueue:
    """One sink and what waits for it, under a name of its own: by default the sink's.

    A batch that cannot be written now is kept and tried again, with growing pauses; after five failures in a row the
    breaker is open and the pauses are long. New records wait in the backlog, as far as it has room. A batch that the
    sink refuses is dropped, and what it says of that is told once.

    Whatever comes out of the sink's methods stays here, and each runs in a task of its own.

    Raises:
        ConfigurationError: a limit of the sink's class is out of range.
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
        if min(sink.backlog, sink.backlog_bytes, sink.batch_size, sink.batch_bytes) < 1 or not sink.write_timeout > 0:
            raise ConfigurationError(
                f"A limit of {type(sink).__name__} is out of range.",
                expected="backlog, backlog_bytes, batch_size and batch_bytes from 1, write_timeout above 0",
            )
        self.sink = sink
        self.name = name or sink.name
        self.written = 0
        self.failures = 0
        self._write_timeout = write_timeout or sink.write_timeout
        self._pauses = (first_pause, longest_pause)
        self._failed_in_a_row = 0
        self._failure = ""
        """Why the sink did not take the last batch, in whole sentences; "" if it did."""
        self.backlog = Backlog(limit or sink.backlog, sink.backlog_bytes)
        self._batch: list[Record] = []
        """What is being written: kept until it is."""
        self._again: deque[list[Record]] = deque()
        """Parts of batches in which the sink failed: each is tried once more."""
        self._lost = 0
        self._lost_bytes = 0
        self._counters: dict[str, int] = {}
        """What the sink counts itself, as it was read last."""
        self._told = Told()
        self._run_told = False
        """True while it was told that the background work fails."""
        self._writing = OneAtATime()
        self._running = OneAtATime()

    @property
    def waiting(self) -> int:
        """Records that wait, including those that are being written."""
        return len(self.backlog) + len(self._batch) + sum(map(len, self._again))

    @property
    def dropped(self) -> int:
        """Records that never reached the sink, or that it lost or gave up."""
        return self.backlog.dropped + self._lost + self._counter("given_up")

    @property
    def open(self) -> bool:
        """True while the breaker is open."""
        return self._failed_in_a_row >= BREAKER_FAILURES

    def figures(self) -> SinkFigures:
        """Returns the counters of the sink."""
        return SinkFigures(
            sink=self.name,
            waiting=self.waiting,
            waiting_bytes=self.backlog.weight,
            written=self.written,
            dropped=self.dropped,
            dropped_bytes=self.backlog.dropped_weight + self._lost_bytes,
            failures=self.failures,
            held=self._counter("held"),
            open=self.open,
        )

    def put(self, record: Record, size: int | None = None) -> None:
        """Queues a record; `size` is its `bytes_of`, if it is known. Never waits."""
        self.backlog.add(record, bytes_of(record) if size is None else size)

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

    async def run_sink(self, statistics: WorkerStatistics) -> None:
        """Runs the sink's own background work; if it fails, again after a pause."""
        first, longest = self._pauses
        tries = Tries(BREAKER_FAILURES, first_pause=first, longest_pause=longest)
        while True:
            began = anyio.current_time()
            timer = asyncio.get_running_loop().call_later(_WORKED, self._runs)
            try:
                await self._running.run(self.sink.run, None, statistics)
            except Exception as error:  # noqa: BLE001 - the plugin boundary: a sink's fault is logged and stays here
                self.failures += 1
                worked_for = anyio.current_time() - began
                pause = tries.failed(worked_for=worked_for if worked_for >= _WORKED else 0.0)
                if isinstance(error, SinkRefused) or is_lasting(error):
                    pause = longest
                    self._run_told |= self._tell_refusal(error, f"it is tried again every {longest:g} s")
                elif self._told.is_new(f"run: {kind_of(error)}", anyio.current_time()):
                    self._run_told = True
                    _log.exception("Sink %s failed in its background work; it is started again.", self.name)
                timer.cancel()
                await anyio.sleep(longest if pause is None else pause)
            else:
                return
            finally:
                timer.cancel()

    async def check(self) -> None:
        """Tells what the sink's own check finds wrong."""
        try:
            for result in await run_foreign(self.sink.check, _CHECK_TIMEOUT):
                level = logging.ERROR if result.level is Level.PROBLEM else logging.WARNING
                if result.level is not Level.OK and self._told.is_new(result.what, anyio.current_time()):
                    _log.log(level, "Sink %s: %s", self.name, result)
        except Exception:  # noqa: BLE001 - the plugin boundary: a sink's fault is logged and stays here
            _log.warning("Sink %s failed in its own checks.", self.name, exc_info=True)

    def recording(self, call_id: str) -> str:
        """Returns where the sink will record the call; "" if it does not, or fails to say."""
        try:
            return str(self.sink.recording(call_id))
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            _log.error("Sink %s failed to return where it records.", self.name, exc_info=as_exception(error))
            return ""

    async def flush(self) -> None:
        """Writes what waits. A sink whose breaker is open is tried once."""
        while self.waiting and (await self._write_batch() or not self.open):
            if self._failed_in_a_row:
                await anyio.sleep(self._pauses[0])

    async def close(self) -> None:
        """Closes the sink, once what it still does has ended, or did not end in time."""
        with anyio.move_on_after(LEAVE_TIME):
            await self._writing.wait()
            await self._running.wait()
        try:
            await run_foreign(self.sink.aclose, None)
        except Exception:  # noqa: BLE001 - the plugin boundary: a sink's fault is logged and stays here
            _log.exception("Sink %s failed to close.", self.name)

    def give_up(self) -> None:
        """Counts what still waits as lost, because there is no more time, or because the sink fails."""
        if self.waiting:
            why = f": {self._failure} They" if self._failure else " in time; they"
            _log.error("Sink %s did not take %s%s are dropped.", self.name, counted(self.waiting, "record"), why)
            self._lose([*self._batch, *itertools.chain.from_iterable(self._again)])
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
        """Writes one batch; False if nothing of it was written."""
        if not self._batch:
            sink = self.sink
            self._batch = self._again.popleft() if self._again else self.backlog.take(sink.batch_size, sink.batch_bytes)
        batch = self._batch
        try:
            await self._writing.run(self._write, self._write_timeout, batch)
        except ForeignHang:
            return self._has_failed(f"It took longer than {self._write_timeout:g} s.")
        except Exception as error:  # noqa: BLE001 - the plugin boundary: a sink's fault is logged and stays here
            if isinstance(error, SinkRefused) or is_lasting(error):
                return self._refused(batch, error)
            if isinstance(error, SinkUnavailable | OSError):
                return self._has_failed(_sentence(error))
            return self._broke(batch, error)
        return True

    async def _write(self, batch: list[Record]) -> None:
        """Runs in a task of its own, and notes the success there: its caller may have been cancelled meanwhile."""
        if self._batch is batch:  # else an earlier try took long, and succeeded
            await self.sink.write(batch)
        if self._batch is batch:
            self._batch = []
            lost, passed_over = self._grown("lost"), self._grown("passed_over")
            self._lost += lost
            self.written += max(len(batch) - lost - passed_over, 0)
            self._works()

    def _counter(self, name: str) -> int:
        """Returns a counter of the sink, whose class may compute it. The last value if that fails."""
        try:
            self._counters[name] = int(getattr(self.sink, name))
        except BaseException as fault:  # noqa: BLE001 - the plugin boundary
            error = as_exception(fault)
            if self._told.is_new(f"{name}: {kind_of(error)}", time.monotonic()):
                _log.error("Sink %s failed to return its %s.", self.name, name, exc_info=error)
        return self._counters.get(name, 0)

    def _grown(self, name: str) -> int:
        before = self._counters.get(name, 0)
        return self._counter(name) - before

    def _works(self) -> None:
        if self.open:
            _log.warning("Sink %s works again.", self.name)
        self._failed_in_a_row = 0
        self._failure = ""
        self._told.worked()

    def _count_failure(self, why: str) -> None:
        self.failures += 1
        self._failed_in_a_row += 1
        self._failure = why

    def _has_failed(self, why: str) -> bool:
        """Tells why, in whole sentences, at the first failure of its kind and when the breaker opens. Returns False."""
        self._count_failure(why)
        if self._failed_in_a_row == 1 and self._told.is_new(why, anyio.current_time()):
            _log.warning("Sink %s failed: %s It is tried again.", self.name, why)
        elif self._failed_in_a_row == BREAKER_FAILURES:
            times, pause = BREAKER_FAILURES, self._pauses[1]
            _log.error("Sink %s failed %d times in a row: %s It is tried every %g s.", self.name, times, why, pause)
        return False

    def _refused(self, batch: list[Record], error: Exception) -> bool:
        """The sink, or where it writes, will never take these records: they are dropped. False if that was all."""
        lost = error.lost if isinstance(error, SinkRefused) else None
        lost = len(batch) if lost is None else min(lost, len(batch))
        self.written += len(batch) - lost
        self._lost += lost
        self._lost_bytes += sum(map(bytes_of, batch)) * lost // max(len(batch), 1)
        self._batch = []
        self._tell_refusal(error, "such records are dropped")
        self._count_failure(_sentence(error))
        if lost < len(batch):
            self._works()
            return True
        return False

    def _tell_refusal(self, error: Exception, then: str) -> bool:
        """Returns True if it is told: it was not before."""
        problem = error.problem if isinstance(error, SinkRefused) else str(error)
        is_new = self._told.is_new(problem, anyio.current_time())
        if is_new:
            _log.error("Sink %s: %s This is told once; %s.", self.name, error, then)
        return is_new

    def _runs(self) -> None:
        """The background work goes on for some time now: tells so where its failure was told."""
        self._told.worked()
        if self._run_told:
            self._run_told = False
            _log.warning("Sink %s works in the background again.", self.name)

    def _broke(self, batch: list[Record], error: Exception) -> bool:
        """The sink raised an error of its own: each call's records are tried once more; of one call, the end alone.

        A sink that fails again and again loses the batch, but for the ends.
        """
        self._count_failure(f"It failed ({type(error.__cause__ or error).__name__}).")
        if self._told.is_new(kind_of(error), anyio.current_time()):
            _log.error(
                "Sink %s failed with %s; it may lose them.", self.name, counted(len(batch), "record"), exc_info=error
            )
        calls = _by_call(batch)
        if len(calls) > 1 and not self.open:
            self._again.extend(calls)
        else:
            ends = [[record] for record in batch if isinstance(record.event, CallEnded) and len(batch) > 1]
            self._again.extend(ends)
            self._lose([record for record in batch if not ends or not isinstance(record.event, CallEnded)])
        self._batch = []
        return False

    def _lose(self, records: Sequence[Record]) -> None:
        self._lost += len(records)
        self._lost_bytes += sum(map(bytes_of, records))


def _by_call(records: Sequence[Record]) -> list[list[Record]]:
    """Returns the records of each call, in order."""
    calls: dict[str, list[Record]] = {}
    for record in records:
        calls.setdefault(record.call_id, []).append(record)
    return list(calls.values())


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.') or type(error).__name__}."
