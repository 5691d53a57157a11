"""The keys that the caller presses: they go to the engine, or to the user who collects them."""

from __future__ import annotations

import anyio

from patter_core.call.context import CallContext
from patter_core.call.uplink import Uplink
from patter_core.errors import CallError
from patter_core.events import DtmfReceived

__all__ = ["Keys"]

_ALL = frozenset("0123456789*#ABCD")
_MOST = 64
"""Keys that are collected at once."""
_LONGEST = 300.0
"""Seconds for it."""


class Keys:
    """The keys of one call, whether they come by the media socket or by webhook.

    Args:
        call: what the parts of the call share.
        uplink: takes them to the engine.
    """

    def __init__(self, call: CallContext, uplink: Uplink) -> None:
        self._call = call
        self._uplink = uplink
        self._collector: _Collector | None = None

    @property
    def are_collected(self) -> bool:
        """True while they go to the user, and not to the engine."""
        return self._collector is not None

    def pressed(self, digit: str) -> None:
        """The caller pressed a key."""
        self._call.emit(DtmfReceived(digit=digit))
        if self._collector is None or self._collector.is_done:
            self._uplink.send_dtmf(digit)
        elif self._collector.take(digit.upper()):
            self._call.changes.notify()

    async def collect(self, count: int, *, within: float, finish_on: str) -> str:
        """Returns the keys that are pressed from now on. As in `PhoneCall.collect_keys`."""
        if not 1 <= count <= _MOST:
            raise CallError("`count` of keys is out of range.", expected=f"1 to {_MOST}", got=f"{count!r}")
        if not 0 < within <= _LONGEST:
            raise CallError(
                "`timeout` of keys is out of range.", expected=f"above 0, at most {_LONGEST:g} s", got=f"{within:g}"
            )
        if not _ALL.issuperset(finish_on.upper()):
            raise CallError("`finish_on` has what is no key.", expected="some of 0-9, *, #, A-D, or none")
        if self._collector is not None:
            raise CallError("Keys of this call are being collected already.", remedy="Wait until they were.")
        call = self._call
        collector = self._collector = _Collector(count, finish_on.upper())
        try:
            with anyio.move_on_after(within):
                await call.changes.wait_until(lambda: collector.is_done or call.is_over)
        finally:
            self._collector = None
        if call.is_over and not collector.is_done:
            raise CallError("The call ended while keys were collected.", expected="a caller who stays on the line")
        return collector.keys


class _Collector:
    def __init__(self, count: int, finish_on: str) -> None:
        self.keys = ""
        self.is_done = False
        self._count = count
        self._finish_on = frozenset(finish_on)

    def take(self, key: str) -> bool:
        """Takes a key. True if it was the last one."""
        if key not in _ALL:
            return False
        if key in self._finish_on:
            self.is_done = True
        else:
            self.keys += key
            self.is_done = len(self.keys) == self._count
        return self.is_done
