"""What was said on a call: for an agent that continues it, and in the shared store for other workers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence

import anyio
import msgspec

from patter_core.aio import DroppingQueue
from patter_core.aio.foreign import run_foreign
from patter_core.aio.tries import Tries
from patter_core.checks import Level
from patter_core.errors import StoreRefused, StoreUnavailable
from patter_core.events import CallEvent
from patter_core.observe.told import Told
from patter_core.store import CallStore, Speaker, Utterance, conversation, utterance_of

__all__ = ["History", "HistoryWriter"]

_log = logging.getLogger("patter.store")

_QUEUE_LIMIT = 10_000
"""Utterances that may wait for a store that cannot be reached; beyond it the oldest are dropped."""
_QUEUE_TEXT = 10_000_000
"""Characters of those utterances."""
_TIMEOUT = 2.0
"""Seconds for one request to the store."""
_CHECK_TIMEOUT = 15.0
"""Seconds for its own check."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
"""Seconds until a store that cannot be reached is tried again."""
_LENGTH = 200
"""Utterances that a call keeps."""
_CHARACTERS = 8_000
"""Of the text that an agent gets."""
_NAMES = {Speaker.CALLER: "User", Speaker.AGENT: "You"}
_INTRODUCTION = (
    "The connection was interrupted for a moment and the same call goes on now. Do not start over. "
    "This is what was said so far:"
)


class History:
    """The latest utterances of one call. Sans-IO."""

    def __init__(self) -> None:
        self._utterances: deque[Utterance] = deque(maxlen=_LENGTH)

    def note(self, event: CallEvent) -> Utterance | None:
        """Adds the utterance of an event, and returns it; None for an event that has none."""
        utterance = utterance_of(event)
        if utterance is not None:
            self._utterances.append(utterance)
        return utterance

    def precede(self, utterances: Iterable[Utterance]) -> None:
        """Puts in front what was said before this worker had the call."""
        self._utterances = deque([*utterances, *self._utterances], maxlen=_LENGTH)

    @property
    def text(self) -> str:
        """The end of the conversation, in whole utterances, for an agent to read; "" if nothing was said."""
        kept: list[str] = []
        room = _CHARACTERS
        for utterance in reversed(conversation(self._utterances)):
            line = f"{_NAMES[utterance.speaker]}: {utterance.text}"
            room -= len(line) + 1
            if room < 0:
                break
            kept.append(line)
        return "\n".join([_INTRODUCTION, *reversed(kept)]) if kept else ""


def _tries() -> Tries:
    return Tries(credit=5, first_pause=_FIRST_PAUSE, longest_pause=_LONGEST_PAUSE)


class _Unstored(msgspec.Struct, frozen=True):
    call_id: str
    utterance: Utterance


class HistoryWriter:
    """Keeps what is said in the shared store, behind a queue, so that another worker can continue a call.

    Without a store it does nothing.
    """

    def __init__(self, store: CallStore | None) -> None:
        self._store = store
        self._queue: DroppingQueue[_Unstored] = DroppingQueue(_QUEUE_LIMIT, max_weight=_QUEUE_TEXT)
        self._next: _Unstored | None = None
        """What is being stored: kept until it is."""
        self._refused = 0
        self._told = Told()

    @property
    def dropped(self) -> int:
        """Utterances that were never stored."""
        return self._queue.dropped + self._refused

    def put(self, call_id: str, utterance: Utterance) -> None:
        """Queues an utterance. Never waits."""
        if self._store is not None:
            self._queue.put(_Unstored(call_id, utterance), weight=len(utterance.text))

    async def history(self, call_id: str) -> Sequence[Utterance]:
        """Returns what was said on a call, on any worker; nothing without a store, or if it does not answer in time."""
        if self._store is None:
            return ()
        try:
            told = await run_foreign(self._store.history, _TIMEOUT, call_id)
            return tuple(msgspec.convert(one, Utterance) for one in told)
        except StoreRefused as error:
            _log.error("Call %s: the store did not return the history. %s", call_id, error)
        except Exception:  # noqa: BLE001 - the plugin boundary: the call goes on without
            _log.exception("Call %s: the store did not return the history.", call_id)
        return ()

    async def run(self) -> None:
        """Stores what is queued, until cancelled; and tells at first what the store's own check finds."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._check)
            while True:
                if self._next is None:
                    self._next = await self._queue.get()
                tries = _tries()
                while not await self._store_next():
                    pause = tries.failed()
                    await anyio.sleep(_LONGEST_PAUSE if pause is None else pause)

    async def drain(self) -> None:
        """Stores what is queued, once more, and closes the store."""
        if self._store is None:
            return
        with anyio.move_on_after(_TIMEOUT):
            while self._next is not None or len(self._queue):
                self._next = self._next or self._queue.pop()
                if not await self._store_next():
                    break
        lost = self.dropped + len(self._queue) + (self._next is not None)
        if lost:
            _log.error("%d utterances could not be stored.", lost)
        try:
            await run_foreign(self._store.aclose, _TIMEOUT)
        except Exception:  # noqa: BLE001 - the plugin boundary: its fault is logged and stays here
            _log.exception("The store failed to close.")

    async def _check(self) -> None:
        if self._store is None:
            return
        try:
            for result in await run_foreign(self._store.check, _CHECK_TIMEOUT):
                if result.level is not Level.OK and self._told.is_new(result.what, anyio.current_time()):
                    level = logging.ERROR if result.level is Level.PROBLEM else logging.WARNING
                    _log.log(level, "The store: %s %s", result.what, result.remedy)
        except Exception:  # noqa: BLE001 - the plugin boundary: its fault is logged and stays here
            _log.warning("The store failed in its own checks.", exc_info=True)

    async def _store_next(self) -> bool:
        """Stores one utterance; False if the store cannot be reached, and the utterance is kept."""
        assert self._store is not None  # otherwise nothing is queued
        assert self._next is not None
        try:
            await run_foreign(self._store.append, _TIMEOUT, self._next.call_id, self._next.utterance)
        except (StoreUnavailable, TimeoutError) as error:
            if self._told.is_new(type(error).__name__, anyio.current_time()):
                waiting = len(self._queue) + 1
                _log.warning("The store cannot be reached (%s); %d utterances wait.", type(error).__name__, waiting)
            return False
        except StoreRefused as error:
            self._refused += 1
            if self._told.is_new(error.problem, anyio.current_time()):
                _log.error("The store refuses utterances; they are dropped, and this is told once. %s", error)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: one utterance is lost, and counted
            self._refused += 1
            if self._told.is_new(type(error).__name__, anyio.current_time()):
                _log.exception("The store refused an utterance; it is dropped.")
        else:
            self._told.worked()
        self._next = None
        return True
