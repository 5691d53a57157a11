"""An event loop whose time passes only while all its tasks wait, and then at once: minutes of a call take moments.

For tests without a network: a module has it with a fixture `anyio_backend` that returns `VIRTUAL`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

__all__ = ["VIRTUAL", "VirtualLoop"]


class _Selector(selectors.SelectSelector):
    """Does not wait: it says that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self.now += timeout
            timeout = 0
        return super().select(timeout)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. Its clock is `time`."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds."""
        return self._virtual.now


VIRTUAL: tuple[str, dict[str, Callable[[], asyncio.AbstractEventLoop]]] = ("asyncio", {"loop_factory": VirtualLoop})
