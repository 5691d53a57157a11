"""Run what may block in threads that cannot hold up anything: neither the event loop nor the end of the process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
import traceback
from collections.abc import Callable

import msgspec

__all__ = ["Threads"]


class _Outcome(msgspec.Struct):
    value: object = None
    error: BaseException | None = None


class Threads:
    """At most `limit` daemon threads at once. One that hangs keeps its place: it cannot be ended, only be done without.

    A pool's threads are waited for when the interpreter ends, and one that hangs would keep a worker from stopping.
    """

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)

    async def run(self, function: Callable[..., object], *args: object) -> object:
        """What `function(*args)` gives, or raises. Cancelling this leaves the thread to itself and says where it is."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Outcome] = loop.create_future()

        def finish(outcome: _Outcome) -> None:
            self._places.release()
            if not done.done():
                done.set_result(outcome)

        def work() -> None:
            outcome = _Outcome()
            try:
                outcome.value = function(*args)
            except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
                outcome.error = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(finish, outcome)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
        thread.start()
        try:
            outcome = await done
        except asyncio.CancelledError as cancelled:
            frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, in spite of its name
            if frame is not None:
                cancelled.add_note("In its thread:\n" + "".join(traceback.format_stack(frame)))
            raise
        if outcome.error is not None:
            raise outcome.error
        return outcome.value
