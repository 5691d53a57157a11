"""The sink contract: what a plugin writes to carry events where people look."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

from patter_core.checks import CheckResult
from patter_core.events import Record

__all__ = ["SINK_API_VERSION", "EventSink", "SinkFigures", "SinkStatistics"]

SINK_API_VERSION = 1


class SinkFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How one sink does: told in `/health/ready`, and to the sinks that make metrics of it."""

    sink: str
    """Its name."""
    waiting: int = 0
    """Records that wait for it."""
    written: int = 0
    dropped: int = 0
    """Records that never reached it: no room, refused, or too late at the end."""
    failures: int = 0
    """Batches that failed, retries included."""
    open: bool = False
    """The breaker is open: it failed several times in a row, and is tried now and then only."""


SinkStatistics = Callable[[], Sequence[SinkFigures]]
"""The figures of all sinks of the host, as they are now."""


class EventSink(abc.ABC):
    """Gets every call's records, in batches, from a bounded queue and in a task of its own.

    A sink that is slow, hangs or raises loses records (counted) and harms nothing else; what is least important goes
    first, and a call's end is not shed. A sink must not block the event loop: what blocks belongs into a
    `patter_core.threads.Worker`.
    """

    api_version: ClassVar[int] = SINK_API_VERSION
    """The version of this contract that the class was written for."""
    name: ClassVar[str]
    """Lower-case, in the registry: letters, digits and hyphens."""
    takes_audio: ClassVar[bool] = False
    """Does it want the calls' audio, too: `AudioCaptured` for each frame both ways? Most do not, and pay nothing."""
    backlog: ClassVar[int] = 10_000
    """Records that may wait, besides calls' ends: about a minute of 500 busy calls."""
    batch_size: ClassVar[int] = 500
    """The most records in a batch."""
    batch_age: ClassVar[float] = 0.1
    """Seconds that the first record of a batch may wait for more; at 0, batches are what came meanwhile."""
    write_timeout: ClassVar[float] = 10.0
    """Seconds that `write` may take."""

    def recording(self, call_id: str) -> str:
        """Where this sink will have recorded the call; "" for a sink that records none. Told in the call's events."""
        return ""

    async def run(self, statistics: SinkStatistics) -> None:  # noqa: B027 - most sinks only write
        """Do what goes on beside `write`, until cancelled. If it raises, it is reported, and started again later."""

    @abc.abstractmethod
    async def write(self, records: Sequence[Record]) -> None:
        """Take a batch: in order within each call. The same batch may come again after a failure or a time-out.

        Raises:
            SinkUnavailable, OSError: it cannot be done now; the batch is kept, and tried again after a while.
            Exception: any other error is reported, and the batch counted as dropped; calls' ends come once more.
        """

    async def aclose(self) -> None:  # noqa: B027 - a sink that holds nothing has nothing to free
        """Hand on what it holds, and free it. Called once, after the last batch, with little time."""

    async def check(self) -> Sequence[CheckResult]:
        """Look at what this configuration needs, for `patter doctor`: keys, settings at the vendor, reachability.

        Never raises for what it finds; costs nothing, and changes nothing at the vendor.
        """
        return ()
