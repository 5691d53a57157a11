"""What was said and done on a call: for an agent that continues it, and in the shared store for other workers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import anyio
import msgspec

from patter_core.aio import Changes, DroppingQueue
from patter_core.aio.foreign import run_foreign
from patter_core.aio.tries import Tries
from patter_core.checks import Level
from patter_core.errors import StoreRefused, StoreUnavailable
from patter_core.history import HistoryItem, ToolUsed, history_text
from patter_core.observe.terminal import counted
from patter_core.observe.told import Told
from patter_core.store import CallStore, HistoryLine, WorkerNote, history_of

__all__ = ["Deposit", "History", "HistoryWriter", "introduced", "supplemented"]

_log = logging.getLogger("patter.store")

_QUEUE_LIMIT = 10_000
"""Lines that may wait for a store that cannot be reached; beyond it the oldest are dropped."""
_QUEUE_TEXT = 10_000_000
"""Characters of those lines."""
_TIMEOUT = 2.0
"""Seconds for one request to the store."""
_CHECK_TIMEOUT = 15.0
"""Seconds for its own check."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
"""Seconds until a store that cannot be reached is tried again."""
_LENGTH = 200
"""Items that a call keeps."""
_INTRODUCTION = (
    "The connection was interrupted for a moment and the same call goes on now. Do not start over. "
    "This is what was said and done so far:"
)
_SUPPLEMENT = "This was said and done on this call, too, before you took over:"


class History:
    """The latest items of one call, in the order of their beginning. Sans-IO."""

    def __init__(self) -> None:
        self._lines: dict[str, HistoryLine] = {}

    def put(self, line: HistoryLine) -> None:
        """Adds an item, or replaces the one with the same id."""
        self._lines[line.id] = line
        if len(self._lines) > _LENGTH:
            del self._lines[min(self._lines, key=self._began)]

    def precede(self, lines: Iterable[HistoryLine]) -> None:
        """Adds what another worker has put; of an item that is here too, what is here holds."""
        for line in {line.id: line for line in lines}.values():
            if line.id not in self._lines and not isinstance(line.item, WorkerNote):
                self.put(line)

    def _began(self, line_id: str) -> float:
        item = self._lines[line_id].item
        return 0.0 if isinstance(item, WorkerNote) else item.started_ms

    @property
    def items(self) -> tuple[HistoryItem, ...]:
        """All items."""
        return history_of(self._lines.values())


def introduced(items: Sequence[HistoryItem]) -> str:
    """Returns the end of a history, in whole items, for an agent that continues it; "" if nothing was said or done."""
    text = history_text(items)
    return f"{_INTRODUCTION}\n{text}" if text else ""


def supplemented(items: Sequence[HistoryItem]) -> str:
    """Returns items that became known after an agent was given the history; "" if there are none."""
    text = history_text(items)
    return f"{_SUPPLEMENT}\n{text}" if text else ""


def _tries() -> Tries:
    return Tries(credit=5, first_pause=_FIRST_PAUSE, longest_pause=_LONGEST_PAUSE)


class Deposit:
    """A line on its way into the store."""

    __slots__ = ("call_id", "is_lost", "is_stored", "line")

    def __init__(self, call_id: str, line: HistoryLine) -> None:
        self.call_id = call_id
        self.line = line
        self.is_stored = False
        self.is_lost = False
        """True if the store will never take it."""


class HistoryWriter:
    """Keeps what is said in the shared store, behind a queue, so that another worker can continue a call.

    Without a store it does nothing.
    """

    def __init__(self, store: CallStore | None) -> None:
        self._store = store
        self._queue: DroppingQueue[Deposit] = DroppingQueue(_QUEUE_LIMIT, max_weight=_QUEUE_TEXT)
        self._next: Deposit | None = None
        """What is being stored: kept until it is."""
        self._refused = 0
        self._settled = Changes()
        """Notified of each line that is stored, or will never be."""
        self._told = Told()

    @property
    def dropped(self) -> int:
        """Lines that were never stored."""
        return self._queue.dropped + self._refused

    def put(self, call_id: str, line: HistoryLine) -> Deposit | None:
        """Queues a line. Never waits. Returns what `stored` takes; None without a store."""
        if self._store is None:
            return None
        deposit = Deposit(call_id, line)
        self._queue.put(deposit, weight=_size(line.item))
        return deposit

    async def stored(self, deposit: Deposit | None, within: float) -> bool:
        """Waits until a line, and each that was put before it, is in the store. False if it is not after that time.

        Without a store, and for a line that the store will never take, it returns at once.
        """
        if deposit is None:
            return True
        with anyio.move_on_after(within):
            await self._settled.wait_until(lambda: deposit.is_stored or deposit.is_lost)
        return deposit.is_stored

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        """Returns the lines of a call, on any worker; nothing without a store, or if it does not answer in time."""
        if self._store is None:
            return ()
        try:
            told = await run_foreign(self._store.history, _TIMEOUT, call_id)
            return tuple(msgspec.convert(one, HistoryLine) for one in told)
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
            _log.error("%s could not be stored.", counted(lost, "line"))
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
                    _log.log(level, "The store: %s", result)
        except Exception:  # noqa: BLE001 - the plugin boundary: its fault is logged and stays here
            _log.warning("The store failed in its own checks.", exc_info=True)

    async def _store_next(self) -> bool:
        """Stores one line; False if the store cannot be reached, and the line is kept."""
        assert self._store is not None  # otherwise nothing is queued
        deposit = self._next
        assert deposit is not None
        try:
            await run_foreign(self._store.append, _TIMEOUT, deposit.call_id, deposit.line)
        except (StoreUnavailable, TimeoutError) as error:
            if self._told.is_new(type(error).__name__, anyio.current_time()):
                why = str(error) or type(error).__name__
                _log.warning(
                    "The store cannot be reached, and %s. %s",
                    counted(len(self._queue) + 1, "line waits", "lines wait"),
                    why,
                )
            return False
        except StoreRefused as error:
            self._refused += 1
            if self._told.is_new(error.problem, anyio.current_time()):
                _log.error("The store refuses lines; they are dropped, and this is told once. %s", error)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: one line is lost, and counted
            self._refused += 1
            if self._told.is_new(type(error).__name__, anyio.current_time()):
                _log.exception("The store refused a line; it is dropped.")
        else:
            deposit.is_stored = True
            self._told.worked()
        deposit.is_lost = not deposit.is_stored
        self._next = None
        self._settled.notify()
        return True


def _size(item: HistoryItem | WorkerNote) -> int:
    match item:
        case ToolUsed():
            return len(item.arguments) + len(item.result)
        case WorkerNote():
            return 0
        case _:
            return len(item.text)
