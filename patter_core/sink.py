"""The sink contract: what a plugin writes to deliver calls' events to another system."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from patter_core.checks import CheckResult
from patter_core.config import Configured
from patter_core.events import Record
from patter_core.storage.archive import CallArchive

__all__ = [
    "LAG_BOUNDS",
    "SINK_API_VERSION",
    "EventSink",
    "LoopLag",
    "SinkFigures",
    "WorkerFigures",
    "WorkerStatistics",
]

SINK_API_VERSION = 1


class SinkFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one sink, for `/health/ready` and for the sinks that make metrics of it."""

    sink: str
    """Its name, unique on the host: the second sink of one name is numbered, `jsonl-2`."""
    waiting: int = 0
    """Records that are queued, or being written."""
    waiting_bytes: int = 0
    """About how much memory the queued ones take; an end of a call of usual size counts as none."""
    written: int = 0
    """Records that the sink took, but for those of which it writes nothing (`EventSink.passed_over`)."""
    dropped: int = 0
    """Records that were not written or not delivered: the queue was full, the sink refused them, lost them or gave them
    up, or the host stopped. What a sink gave up later is in `written`, too."""
    dropped_bytes: int = 0
    """About how much memory those took."""
    failures: int = 0
    """Batches that failed, retries included, and ends of `run` by an error."""
    held: int = 0
    """Written records that could not be delivered yet, and that the sink tries again (`EventSink.held`)."""
    open: bool = False
    """The breaker is open: the sink failed several times in a row, and is tried at long intervals only."""


LAG_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the buckets of `LoopLag`, in s; one more holds what is longer."""


class LoopLag(msgspec.Struct, frozen=True):
    """How late the event loop ran what was due, while calls were live: by buckets, since the worker started."""

    counts: tuple[int, ...] = (0,) * (len(LAG_BOUNDS) + 1)
    seconds: tuple[float, ...] = (0.0,) * (len(LAG_BOUNDS) + 1)
    """What each bucket comes to."""


class WorkerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the worker, for the sinks that make metrics of it. Counts only grow while the worker runs."""

    sinks: tuple[SinkFigures, ...] = ()
    calls_limit: int = 0
    """The most calls that are taken at once."""
    turned_away: Mapping[str, int] = {}
    """Incoming calls that were not taken, by reason."""
    webhooks_refused: Mapping[str, int] = {}
    """Requests that were no good webhook, by reason."""
    dropped: Mapping[str, int] = {}
    """What was dropped for want of room or time, by the queue: `callbacks`, events for callbacks of the user; `store`,
    lines for the call store. What sinks lack is in `sinks`."""
    loop_lag: LoopLag = LoopLag()


WorkerStatistics = Callable[[], WorkerFigures]
"""Returns the current figures of the worker. For its event loop."""


class EventSink(Configured, abc.ABC):
    """Gets the records of every call, in batches, from a bounded queue and in a task of its own.

    A sink that is slow, hangs or raises loses records, which is counted, and disturbs nothing else. The least important
    records are dropped first, and a call's end is never dropped for want of room. A sink must not block the event loop:
    blocking work belongs into a `patter_core.aio.threads.SerialThread`.
    """

    api_version: ClassVar[int] = SINK_API_VERSION
    """The version of this contract that the class was written for."""
    name: ClassVar[str]
    """Its name in the registry: lower-case letters, digits and hyphens."""
    path: Path | None = None
    """The file or folder that it writes, if there is one: no other sink of the phone may have the same."""
    exclusive: bool = False
    """True if only one process can have it with these options, as a file that it renames."""
    takes_audio: ClassVar[bool] = False
    """True if it also takes the calls' audio: an `AudioCaptured` for each frame, in both directions."""
    backlog: ClassVar[int] = 10_000
    """The most records that are queued, calls' ends aside: about a minute of 500 busy calls."""
    backlog_bytes: ClassVar[int] = 100_000_000
    """The most memory that the queued records take, the usual ends of calls aside."""
    batch_size: ClassVar[int] = 500
    """The most records in a batch."""
    batch_bytes: ClassVar[int] = 8_000_000
    """The most memory of the records in a batch; a record that takes more is a batch of its own."""
    batch_age: ClassVar[float] = 0.1
    """Seconds that the first record of a batch may wait for more. At 0, a batch is what is queued."""
    write_timeout: ClassVar[float] = 10.0
    """Seconds that `write` may take. Then it is cancelled, and the next one waits until it has ended."""

    lost: int = 0
    """Records that `write` took and could not keep, in all: a sink that cannot keep a part of a batch counts them here,
    and they are told as dropped."""
    passed_over: int = 0
    """Records that `write` took and of which it writes nothing, in all: told neither as written nor as dropped."""
    held: int = 0
    """Records that it took, could not deliver yet, and keeps for another try, as in a file while a receiver is away: 0
    while all is well. Where workers share what is kept, each has the whole number."""
    given_up: int = 0
    """Records that it took, held, and will not try again, in all: they are told as dropped."""

    def recording(self, call_id: str) -> str:
        """Returns where this sink will record the call, for `RecordingStarted`; "" if it does not record."""
        return ""

    def archive(self) -> CallArchive | None:
        """Returns what reads the calls that this sink has kept, for apps; None if it keeps none that can be read."""
        return None

    async def erase(self, call_ids: Collection[str]) -> Sequence[str] | None:
        """Erases what it keeps of these calls, recordings included, so that no file of it holds a byte of them.

        For `patter calls delete`, in another process than the server's, which may write meanwhile.

        Returns:
            What was erased, in words such as `3 calls in patter.db`; nothing for a sink that keeps nothing of a single
            call; None if this sink cannot erase: then a person is told to see to it where the records went.

        Raises:
            SinkRefused, SinkUnavailable, OSError: as in `write`; what was not erased is at the next try.
        """
        return None

    async def run(self, statistics: WorkerStatistics) -> None:
        """Background work next to `write`, until cancelled. If it raises, that is told, and it is started again.

        Raises:
            SinkRefused: it cannot work before a person changes something; it is started again at long intervals.
            Exception: it failed; it is started again after a pause that grows.
        """

    @abc.abstractmethod
    async def write(self, records: Sequence[Record]) -> None:
        """Writes a batch, which is in order within each call. After a failure or a timeout the batch is repeated.

        Raises:
            SinkUnavailable: the batch cannot be written now; it is kept and tried again later.
            SinkRefused: the batch, or a part of it, will never be taken: it is dropped, and the remedy is told once.
            OSError: as SinkRefused for a path or an address that cannot be used, such as `PermissionError`; else as
                SinkUnavailable.
            Exception: a fault of the sink: each call's records are tried once more by themselves, then its end alone;
                what fails again is dropped.
        """

    async def aclose(self) -> None:
        """Writes what the sink still holds, and frees it. Called once, after the last batch, with at least a second."""

    async def check(self) -> Sequence[CheckResult]:
        """Checks what this configuration needs: keys, settings at the vendor, reachability, paths.

        For `patter doctor`, and for the start of a worker, which tells what is wrong before records come. Never raises
        for what it finds; costs nothing, and changes nothing at the vendor or on the disk.
        """
        return ()
