"""What was said on a call: for an agent that continues it, and in the shared store for other workers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence

import anyio
import msgspec

from patter_core.errors import StoreUnavailable
from patter_core.events import CallEvent
from patter_core.store import CallStore, Speaker, Utterance, conversation, utterance_of

__all__ = ["History", "HistoryWriter"]

_log = logging.getLogger("patter.store")

_QUEUE_LIMIT = 10_000
"""Lines that wait for a store that cannot be reached; beyond it the oldest go."""
_TIMEOUT = 2.0
"""Seconds for the store to take or give lines of one call."""
_PAUSE = 0.5
"""Seconds until a store that cannot be reached is tried again."""


_LINES = 200
_CHARACTERS = 8_000

_NAMES = {Speaker.CALLER: "User", Speaker.AGENT: "You"}
_INTRODUCTION = (
    "The connection was interrupted for a moment and the same call goes on now. Do not start over. "
    "This is what was said so far:"
)


class History:
    """The latest lines of one call."""

    def __init__(self) -> None:
        self._lines: deque[Utterance] = deque(maxlen=_LINES)

    def note(self, event: CallEvent) -> Utterance | None:
        """Keep what the event adds to the conversation, and give it."""
        line = utterance_of(event)
        if line is not None:
            self._lines.append(line)
        return line

    def precede(self, lines: Iterable[Utterance]) -> None:
        """Put in front what was said before this worker had the call."""
        self._lines = deque([*lines, *self._lines], maxlen=_LINES)

    @property
    def text(self) -> str:
        """For the agent to read: the end of what was said, whole lines; "" if nothing was."""
        kept: list[str] = []
        room = _CHARACTERS
        for line in reversed(conversation(self._lines)):
            written = f"{_NAMES[line.speaker]}: {line.text}"
            room -= len(written) + 1
            if room < 0:
                break
            kept.append(written)
        return "\n".join([_INTRODUCTION, *reversed(kept)]) if kept else ""


class _Waiting(msgspec.Struct):
    call_id: str
    line: Utterance


class HistoryWriter:
    """The store, behind a queue. Without a store it does nothing."""

    def __init__(self, store: CallStore | None) -> None:
        self.dropped = 0
        """Lines that were never stored."""
        self._store = store
        self._waiting: deque[_Waiting] = deque()
        self._wake = anyio.Event()

    def put(self, call_id: str, line: Utterance) -> None:
        """Queue a line. Never waits."""
        if self._store is None:
            return
        if len(self._waiting) >= _QUEUE_LIMIT:
            self.dropped += 1
            self._waiting.popleft()
        self._waiting.append(_Waiting(call_id, line))
        self._wake.set()

    async def history(self, call_id: str) -> Sequence[Utterance]:
        """What was said on a call, here or elsewhere; nothing if there is no store, or it does not answer in time."""
        if self._store is None:
            return ()
        try:
            with anyio.fail_after(_TIMEOUT):
                return await self._store.history(call_id)
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
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("The store cannot be reached (%s); %d lines wait.", type(error).__name__, len(self._waiting))
            return False
        except Exception:  # noqa: BLE001 - the plugin boundary: one line is lost, and told
            self.dropped += 1
            _log.exception("The store refused a line; it is dropped.")
        if self._waiting and self._waiting[0] is waiting:  # it may have gone meanwhile, for want of room
            self._waiting.popleft()
        return True
