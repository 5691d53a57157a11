"""What a carrier's codec raises where it encodes: each time a fault of the call; again and again, its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from patter_core.aio.foreign import as_exception
from patter_core.call.context import CallContext
from patter_core.call.state import Signal
from patter_core.transport import Message

__all__ = ["MOST_FAILURES", "CodecFaults"]

_log = logging.getLogger("patter.call")

MOST_FAILURES = 10
"""Failures in a row at which the stream is given up."""
_APART = 1.0
"""Seconds after which a failure is not in a row with the one before."""


class CodecFaults:
    """Counts the failures of a codec. What works costs nothing: a row ends by time.

    Args:
        call: what the parts of the call share.
        on_fault: called with what is wrong, in words of a fixed set.
    """

    def __init__(self, call: CallContext, on_fault: Callable[[str], None]) -> None:
        self._call = call
        self._on_fault = on_fault
        self._count = 0
        self._last = -_APART

    def failed(self, error: BaseException) -> None:
        """The codec raised this."""
        fault, now = as_exception(error), self._call.clock()
        if now - self._last >= _APART:
            self._count = 0
        self._last = now
        self._count += 1
        if self._count == 1:
            _log.error("Call %s: the carrier's codec failed.", self._call.call_id, exc_info=fault)
        self._on_fault("the carrier's plugin failed to write a message")
        if self._count == MOST_FAILURES:
            self._call.signal(Signal.MEDIA_UNUSABLE, "the carrier's plugin failed to write to the stream")

    def messages(self, encode: Callable[[], Sequence[Message]]) -> Sequence[Message]:
        """Returns the messages that the codec makes; none if it raises."""
        try:
            return tuple(encode())
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            self.failed(error)
            return ()
