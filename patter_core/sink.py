"""The sink contract: what a plugin writes to carry events where people look."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

from patter_core.checkup import Finding
from patter_core.events import Record

__all__ = ["SINK_API_VERSION", "EventSink"]

SINK_API_VERSION = 1


class EventSink(abc.ABC):
    """Gets every call's records, in batches, from a bounded queue and in a task of its own.

    A sink that is slow, hangs or raises loses records (counted) and harms nothing else. A call's end is not shed.
    """

    api_version: ClassVar[int] = SINK_API_VERSION
    """The version of this contract that the class was written for."""
    name: ClassVar[str]
    """Lower-case, in the registry: letters, digits and hyphens."""

    @abc.abstractmethod
    async def write(self, records: Sequence[Record]) -> None:
        """Take a batch: in order within each call. What it raises is logged, and the batch counted as dropped."""

    async def aclose(self) -> None:  # noqa: B027 - a sink that holds nothing has nothing to free
        """Free what the sink holds. Called once, after the last batch."""

    async def check(self) -> Sequence[Finding]:
        """Look at what this configuration needs, for `patter doctor`: keys, settings at the vendor, reachability.

        Never raises for what it finds; costs nothing, and changes nothing at the vendor.
        """
        return ()
