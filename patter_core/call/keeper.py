"""Keep what is said on calls in the shared store, so that another worker can go on with them; nothing waits for it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import anyio
import msgspec

from patter_core.errors import SinkUnavailable
from patter_core.store import CallStore, Line

__all__ = ["LineKeeper"]

_log = logging.getLogger("patter.store")

_QUEUE_LIMIT = 10_000
"""Lines that wait for a store that cannot be reached; beyond it the oldest go."""
_TIMEOUT = 2.0
"""Seconds for the store to take or give lines of one call."""
_PAUSE = 0.5
"""Seconds until a store that cannot be reached is tried again."""


class _Waiting(msgspec.Struct):
    call_id: str
    line: Line


class LineKeeper:
    """The store, behind a queue. Without a store it does nothing."""

    def __init__(self, store: CallStore | None) -> None:
        self.dropped = 0
        """Lines that were never stored."""
        self._store = store
        self._waiting: deque[_Waiting] = deque()
        self._wake = anyio.Event()

    def put(self, call_id: str, line: Line) -> None:
        """Queue a line. Never waits."""
        if self._store is None:
            return
        if len(self._waiting) >= _QUEUE_LIMIT:
            self.dropped += 1
            self._waiting.popleft()
        self._waiting.append(_Waiting(call_id, line))
        self._wake.set()

    async def so_far(self, call_id: str) -> Sequence[Line]:
        """What was said on a call, here or elsewhere; nothing if there is no store, or it does not answer in time."""
        if self._store is None:
            return ()
        try:
            with anyio.fail_after(_TIMEOUT):
                return await self._store.so_far(call_id)
        except Exception:  # noqa: BLE001 - the plugin boundary: the call goes on without
            _log.exception("Call %s: the store does not say what was said so far.", call_id)
            return ()

    async def run(self) -> None:
        """Store lines until cancelled."""
        while True:
            if not self._waiting:
                self._wake = anyio.Event()
                await self._wake.wait()
            elif not await self._store_next():
                await anyio.sleep(_PAUSE)

    async def drain(self) -> None:
        """Store what waits, once more, and free the store."""
        if self._store is None:
            return
        with anyio.move_on_after(_TIMEOUT):
            while self._waiting and await self._store_next():
                pass
            try:
                await self._store.aclose()
            except Exception:  # noqa: BLE001 - the plugin boundary: its fault is told and stays here
                _log.exception("The store failed to close.")

    async def _store_next(self) -> bool:
        """Store one line; False if the store cannot be reached, and the line waits on."""
        assert self._store is not None  # or nothing would wait
        waiting = self._waiting[0]
        try:
            with anyio.fail_after(_TIMEOUT):
                await self._store.append(waiting.call_id, waiting.line)
        except (SinkUnavailable, TimeoutError) as error:
            _log.warning("The store cannot be reached (%s); %d lines wait.", type(error).__name__, len(self._waiting))
            return False
        except Exception:  # noqa: BLE001 - the plugin boundary: one line is lost, and told
            self.dropped += 1
            _log.exception("The store refused a line; it is dropped.")
        if self._waiting and self._waiting[0] is waiting:  # it may have gone meanwhile, for want of room
            self._waiting.popleft()
        return True
