"""Runs blocking code in daemon threads: one that hangs holds up neither the event loop nor the end of the process.

A pool of `concurrent.futures` or `anyio.to_thread` is joined when the interpreter exits, so one hung thread would keep
a worker from stopping.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import threading
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import msgspec

from patter_core.aio.foreign import as_exception
from patter_core.aio.kept_threads import in_kept_thread
from patter_core.aio.stacks import stack_of_thread
from patter_core.errors import SinkUnavailable
from patter_core.observe.terminal import counted

__all__ = ["LEFT_LIMIT", "DaemonThreads", "SerialThread", "left_behind"]

P = ParamSpec("P")
T = TypeVar("T")

LEFT_LIMIT = 256
"""The most threads of a process that are left behind; beyond it, one that hangs keeps its place."""
_TELL_AT = frozenset({8, 32, 128})
"""Numbers of threads left behind that are told."""
_PATIENCE = 1.0
"""Seconds that `SerialThread` waits for abandoned work."""

_log = logging.getLogger("patter.threads")


class _Outcome(msgspec.Struct, Generic[T]):
    value: T | None = None
    error: BaseException | None = None


class _Place:
    """The place of one thread. It is given back once: when the thread ends, or when it is left behind."""

    def __init__(self, release: Callable[[], object], may_leave: bool) -> None:
        self._release = release
        self._may_leave = may_leave
        self._free = False
        self._ended = False

    def give_back(self) -> None:
        """Gives the place back. Idempotent."""
        if not self._free:
            self._free = True
            self._release()

    def leave(self) -> None:
        """Leaves the thread behind, if there are not too many of them."""
        with _lock:
            if self._ended or not self._may_leave:
                return
            full = len(_left) >= LEFT_LIMIT
            if not full:
                _left.add(self)
            count = len(_left)
        if not full:
            self.give_back()
            if count in _TELL_AT:
                _log.warning(
                    "%s left behind, and still %s.",
                    counted(count, "thread was", "threads were"),
                    "hangs" if count == 1 else "hang",
                )
            elif count == LEFT_LIMIT:
                _log.error("%d threads were left behind, and still hang. A further one keeps its place.", count)

    def end(self) -> None:
        """The thread ends. Called in it."""
        with _lock:
            self._ended = True
            _left.discard(self)


_lock = threading.Lock()
_left: set[_Place] = set()
"""The places of the threads that were left behind and have not ended."""


def left_behind() -> int:
    """Returns how many threads of this process are no longer waited for, and have not ended."""
    with _lock:
        return len(_left)


class DaemonThreads:
    """At most `limit` threads at once, those aside that were left behind.

    A thread that hangs cannot be stopped. Once its caller is cancelled, it is left behind: it gives its place to
    another one. A process has `LEFT_LIMIT` of such threads at most; then those that hang keep their places.

    Args:
        limit: how many there may be.
        leave: False if a thread that hangs keeps its place in any case.
    """

    def __init__(self, limit: int, *, leave: bool = True) -> None:
        self._places = anyio.Semaphore(limit)
        self._leave = leave

    @property
    def full(self) -> bool:
        """True if all places are occupied: `run` would wait."""
        return self._places.value == 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `function` returns, or raises what it raises; a `ForeignFault` for what is no `Exception`.

        If cancelled, the thread is left behind, and the `CancelledError` carries its stack as a note.
        """
        await self._places.acquire()
        return await _run_in_thread(
            functools.partial(function, *args, **kwargs), _Place(self._places.release, self._leave)
        )


def _nothing() -> None:
    """There is nothing to release."""


class SerialThread:
    """Runs one piece of work at a time: for sinks, whose files and databases take one writer.

    Callers wait for each other as long as it takes. A cancelled caller does not wait for its work, which may hang: the
    work is abandoned, and no other starts while it runs.
    """

    def __init__(self) -> None:
        self._turn: anyio.CapacityLimiter | None = None
        self._busy = threading.Lock()
        """Held by the thread that works, so by abandoned work, too, even of an event loop that was closed."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `work` returns.

        Raises:
            SinkUnavailable: abandoned work still hangs.
            Exception: whatever `work` raises.
        """
        if self._turn is None:
            self._turn = anyio.CapacityLimiter(1)
        async with self._turn:
            work_alone = functools.partial(self._work_alone, functools.partial(work, *args, **kwargs))
            return await _run_in_thread(work_alone, _Place(_nothing, True))

    def _work_alone(self, work: Callable[[], T]) -> T:
        if not self._busy.acquire(timeout=_PATIENCE):
            raise SinkUnavailable("Earlier work still hangs.", remedy="Check the disk.")
        try:
            return work()
        finally:
            self._busy.release()


def _outcome_of(function: Callable[[], T]) -> _Outcome[T]:
    try:
        return _Outcome(value=function())
    except BaseException as error:  # noqa: BLE001 - raised in the caller, as an Exception
        return _Outcome(error=error)


async def _run_in_thread(function: Callable[[], T], place: _Place) -> T:
    try:
        await anyio.lowlevel.checkpoint_if_cancelled()  # or the work would be done, and its result lost
    except BaseException:
        place.give_back()
        raise
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Outcome[T]] = loop.create_future()

    def finish(outcome: _Outcome[T]) -> None:
        place.give_back()
        if not done.done():
            done.set_result(outcome)

    def work() -> None:
        outcome: _Outcome[T] = _Outcome() if done.cancelled() else _outcome_of(function)  # a caller may have gone
        place.end()
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is no caller any more
            loop.call_soon_threadsafe(finish, outcome)

    try:
        ident = in_kept_thread(functools.partial(contextvars.copy_context().run, work))
    except BaseException:  # the system has no more threads
        place.give_back()
        raise
    try:
        outcome = await done
    except asyncio.CancelledError as cancelled:
        place.leave()
        stack = stack_of_thread(ident)
        if stack:
            cancelled.add_note(f"In its thread:\n{stack}")
        raise
    if outcome.error is not None:
        raise as_exception(outcome.error)
    return outcome.value  # type: ignore[return-value] # set, or error is: None is a value of T where T allows it
