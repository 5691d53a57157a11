"""The settings that all calls of a worker share."""

from __future__ import annotations

import msgspec

from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.net.transport import Transport
from patter_core.observe.redaction import Redaction
from patter_core.store import CallStore

__all__ = ["HostConfig"]


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Made once by `Patter`, and read by everything below it."""

    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    redaction: Redaction = Redaction()
    store: CallStore | None = None
    """Where workers share what was said on calls."""
    several_workers: bool = False
    """True if other workers take calls for the same numbers: the audio of a call that arrived here may come to another
    worker, so a call starts where its audio comes, and no conversation is opened before."""
    transport: Transport | None = None
    """Reads and writes the frames of engines' sockets; None for the library that comes with Patter."""
    report_every: float = 30.0
    """Seconds between two reports of a live call's metrics."""
