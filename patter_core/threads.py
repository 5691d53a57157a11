"""Runs blocking code in daemon threads: one that hangs holds up neither the event loop nor the end of the process.

A pool of `concurrent.futures` or `anyio.to_thread` is joined when the interpreter exits, so one hung thread would keep
a worker from stopping.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import msgspec

from patter_core.errors import SinkUnavailable

__all__ = ["DaemonThreads", "SerialThread"]

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds that `SerialThread` waits for abandoned work."""


class _Outcome(msgspec.Struct, Generic[T]):
    value: T | None = None
    error: BaseException | None = None


class DaemonThreads:
    """At most `limit` threads at once. A thread that hangs cannot be stopped and keeps its place."""

    def __init__(self, limit: int) -> None:
        self._places = anyio.Semaphore(limit)

    @property
    def full(self) -> bool:
        """True if all threads are occupied: `run` would wait."""
        return self._places.value == 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `function` returns, or raises what it raises.

        If cancelled, the thread is abandoned, and the `CancelledError` carries its stack as a note.
        """
        await self._places.acquire()
        return await _run_in_thread(functools.partial(function, *args, **kwargs), self._places.release)


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
            return await _run_in_thread(functools.partial(self._work_alone, functools.partial(work, *args, **kwargs)))

    def _work_alone(self, work: Callable[[], T]) -> T:
        if not self._busy.acquire(timeout=_PATIENCE):
            raise SinkUnavailable("Earlier work still hangs.", remedy="Check the disk.")
        try:
            return work()
        finally:
            self._busy.release()


def _nothing() -> None:
    """There is nothing to release."""


async def _run_in_thread(function: Callable[[], T], release: Callable[[], object] = _nothing) -> T:
    try:
        await anyio.lowlevel.checkpoint_if_cancelled()  # or the work would be done, and its result lost
    except BaseException:
        release()
        raise
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Outcome[T]] = loop.create_future()

    def finish(outcome: _Outcome[T]) -> None:
        release()
        if not done.done():
            done.set_result(outcome)

    def work() -> None:
        outcome: _Outcome[T] = _Outcome()
        try:
            outcome.value = function()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller
            outcome.error = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is no caller any more
            loop.call_soon_threadsafe(finish, outcome)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    try:
        thread.start()
    except BaseException:  # the system has no more threads
        release()
        raise
    try:
        outcome = await done
    except asyncio.CancelledError as cancelled:
        frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, in spite of its name
        if frame is not None:
            cancelled.add_note("In its thread:\n" + "".join(traceback.format_stack(frame)))
        raise
    if outcome.error is not None:
        raise outcome.error
    return outcome.value  # type: ignore[return-value] # set, or error is: None is a value of T where T allows it
