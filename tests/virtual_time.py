"""An event loop whose time passes only while all its tasks wait, and then at once: minutes of a call take moments.

For tests without a network: a module has it with a fixture `anyio_backend` that returns `VIRTUAL`. With sockets, both
of whose ends are on the loop, it is for a process of its own: `python -m tests.virtual_time MODULE` runs `MODULE.main`.
"""

from __future__ import annotations

import asyncio
import importlib
import selectors
import sys
import time
from collections.abc import Callable, Coroutine

__all__ = ["VIRTUAL", "VirtualLoop"]

_LONG = 0.1
"""Seconds. Before so many pass, a thread may have something to say."""
_GRACE = 0.005
"""Real seconds in which it may."""


class _Selector(selectors.DefaultSelector):
    """Does not wait: it says that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0 if timeout < _LONG else _GRACE)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. Its clock is `time`."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds."""
        return self._virtual.now


VIRTUAL: tuple[str, dict[str, Callable[[], asyncio.AbstractEventLoop]]] = ("asyncio", {"loop_factory": VirtualLoop})


def _run(module: str) -> None:
    """Runs `main` of a module in a process whose clocks are all the loop's.

    They are replaced before the module is imported: a default argument is taken from the module `time` once.
    """
    loop = VirtualLoop()
    began = time.time() - loop.time()
    time.monotonic = time.perf_counter = loop.time
    time.time = lambda: began + loop.time()
    main: Callable[[], Coroutine[object, object, None]] = importlib.import_module(module).main
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


if __name__ == "__main__":
    _run(sys.argv[1])
