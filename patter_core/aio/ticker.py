"""Calls functions at a steady pace, all of an event loop by one timer: that costs less than a timer for each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakKeyDictionary

from patter_core.aio.foreign import as_exception

__all__ = ["Ticker"]

_log = logging.getLogger("patter.ticker")


class Ticker:
    """The functions of one event loop that are called every `period` seconds. There is a timer only while there is one.

    Args:
        period: s.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._functions: WeakKeyDictionary[asyncio.AbstractEventLoop, set[Callable[[], None]]] = WeakKeyDictionary()
        """Those of each loop that has a timer: after the last one is removed, it runs once more."""

    def add(self, function: Callable[[], None]) -> None:
        """Calls the function from here on, after each period. Idempotent."""
        loop = asyncio.get_running_loop()
        functions = self._functions.get(loop)
        if functions is None:
            functions = self._functions[loop] = set()
            loop.call_later(self._period, self._tick, loop)
        functions.add(function)

    def remove(self, function: Callable[[], None]) -> None:
        """Calls it no more. Idempotent."""
        functions = self._functions.get(asyncio.get_running_loop())
        if functions is not None:
            functions.discard(function)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        functions = self._functions[loop]
        for function in tuple(functions):
            try:
                function()
            except BaseException as error:  # noqa: BLE001 - one must not stop the others
                functions.discard(function)
                _log.error("A periodic function failed, and is called no more.", exc_info=as_exception(error))
        if functions:
            loop.call_later(self._period, self._tick, loop)
        else:
            del self._functions[loop]
