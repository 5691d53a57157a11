"""Runs the user's callbacks: in order within a call, from a bounded queue, and never in the way of the audio.

A callback that raises, whatever it raises, is logged with its traceback; one that hangs is cancelled and logged with
the place where it hangs. In both cases the call goes on, and no other call notices. The end of the call is reported
exactly once, and soon, whatever is queued before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import anyio
import anyio.abc
import msgspec

from patter_core.aio import DroppingQueue
from patter_core.aio.allowance import Allowance
from patter_core.aio.foreign import settle
from patter_core.aio.functions import RunInThread, call_foreign
from patter_core.aio.threads import DaemonThreads
from patter_core.call.handle import PhoneCall
from patter_core.errors import ForeignHang
from patter_core.events import (
    CallEnded,
    CallEvent,
    CallMoved,
    MediaStarted,
    Record,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.observe.terminal import counted

__all__ = ["CallbackQueue", "CallbackRunner", "Transcript", "UserCallbacks"]

_log = logging.getLogger("patter.callbacks")

_QUEUE_LIMIT = 1_000
"""Events that may wait for the callbacks of one call."""
_END_GRACE = 2.0
"""Seconds for the queued events when a call ends; after them its end is reported in any case."""
_CLEANUP = 1.0
"""Seconds for functions that were cancelled to clean up, when the worker stops."""
_THREADS = 64
"""For callbacks that are plain functions, of all calls."""
_END_THREADS = 256
"""For `on_call_end` alone: the end is reported while other callbacks occupy their threads."""

Transcript = TranscriptInput | TranscriptOutput | TranscriptCorrection


class UserCallbacks(msgspec.Struct, frozen=True, kw_only=True):
    """The user's functions, each a coroutine function or a plain one."""

    on_call_start: Callable[[PhoneCall], object] | None = None
    """The caller's audio is here. Once a call."""
    on_call_end: Callable[[PhoneCall, CallEnded], object] | None = None
    """The call is over, for whatever reason. Once a call: where several workers had it, at the last one."""
    on_transcript: Callable[[PhoneCall, Transcript], object] | None = None
    on_event: Callable[[PhoneCall, CallEvent], object] | None = None
    """Every event, up to the end."""

    @property
    def any(self) -> bool:
        """True if there is a callback."""
        return bool(self.on_call_start or self.on_call_end or self.on_transcript or self.on_event)


class CallbackQueue:
    """The events of one call that wait for the callbacks.

    Args:
        callbacks: the user's functions.
        in_thread: runs those that are plain functions.
        end_in_thread: the same, for `on_call_end`.
        timeout: seconds for one callback, without what it waits for the methods of the call.
        limit: how many events may wait; beyond it the oldest are dropped.
    """

    def __init__(
        self,
        callbacks: UserCallbacks,
        in_thread: RunInThread,
        end_in_thread: RunInThread,
        *,
        timeout: float,
        limit: int = _QUEUE_LIMIT,
    ) -> None:
        self._callbacks = callbacks
        self._in_thread = in_thread
        self._end_in_thread = end_in_thread
        self._timeout = timeout
        self._queue: DroppingQueue[CallEvent] = DroppingQueue(limit)
        self._started = False
        self._end: CallEnded | None = None
        self._grace: anyio.CancelScope | None = None

    @property
    def dropped(self) -> int:
        """Events that no callback was called with: no room, or no time before the end."""
        return self._queue.dropped

    def put(self, record: Record) -> None:
        """Queues an event, if a callback wants it. Never waits."""
        event = record.event
        if self._queue.closed:
            return
        if self._is_wanted(event):
            self._queue.put(event)
        if isinstance(event, CallEnded):
            self._end = event
        if isinstance(event, CallEnded | CallMoved):
            self.close()

    def close(self) -> None:
        """No event follows. Idempotent."""
        if not self._queue.closed:
            self._queue.close()
            self._set_grace()

    async def run(self, call: PhoneCall) -> None:
        """Runs the callbacks until the end is reported. If cancelled, it can be run again for what is left."""
        with anyio.CancelScope() as self._grace:
            if self._queue.closed:
                self._set_grace()
            async for event in self._queue:
                await self._report(call, event)
        self._grace = None
        self._queue.clear()
        if self.dropped:
            _log.error(
                "Call %s: callbacks were too slow; they were not called for %s.",
                call.id,
                counted(self.dropped, "event"),
            )
        end, self._end = self._end, None
        if end is not None and self._callbacks.on_call_end is not None:
            await self._call("on_call_end", self._callbacks.on_call_end, call, end)

    def _set_grace(self) -> None:
        if self._grace is not None:
            self._grace.deadline = anyio.current_time() + _END_GRACE

    def _is_wanted(self, event: CallEvent) -> bool:
        callbacks = self._callbacks
        if callbacks.on_event is not None:
            return True
        if isinstance(event, Transcript):
            return callbacks.on_transcript is not None
        return isinstance(event, MediaStarted) and callbacks.on_call_start is not None

    async def _report(self, call: PhoneCall, event: CallEvent) -> None:
        callbacks = self._callbacks
        if isinstance(event, MediaStarted) and not self._started:
            self._started = True
            if callbacks.on_call_start is not None:
                await self._call("on_call_start", callbacks.on_call_start, call)
        elif isinstance(event, Transcript) and callbacks.on_transcript is not None:
            await self._call("on_transcript", callbacks.on_transcript, call, event)
        if callbacks.on_event is not None:
            await self._call("on_event", callbacks.on_event, call, event)

    async def _call(self, name: str, function: Callable[..., object], call: PhoneCall, *args: CallEvent) -> None:
        in_thread = self._end_in_thread if name == "on_call_end" else self._in_thread
        began = anyio.current_time()
        allowance = Allowance(self._timeout)
        try:
            with allowance.of_this_task():
                await call_foreign(function, allowance, in_thread, call, *args)
        except (ForeignHang, asyncio.CancelledError) as stopped:
            _log.error(
                "Call %s: %s was cancelled after %.1f s; the call goes on. %s",
                call.id,
                name,
                anyio.current_time() - began,
                "\n".join(getattr(stopped, "__notes__", ())),
            )
            if isinstance(stopped, asyncio.CancelledError):  # no time is left, for it or for the whole queue
                raise
        except Exception:  # noqa: BLE001 - the user's code: its fault is logged and stays here
            _log.exception("Call %s: %s raised; the call goes on.", call.id, name)
        finally:
            allowance.close()


class CallbackRunner:
    """Runs the user's callbacks of all calls of a worker. Without callbacks, a call costs nothing.

    Args:
        timeout: seconds for one callback.
    """

    def __init__(self, callbacks: UserCallbacks, *, timeout: float) -> None:
        self._callbacks = callbacks
        self.dropped = 0
        """Events of all calls that no callback was called with."""
        self._timeout = timeout
        self._threads: tuple[DaemonThreads, DaemonThreads] | None = None
        self._active: dict[CallbackQueue, PhoneCall] = {}

    def new_queue(self) -> CallbackQueue | None:
        """Returns the queue of a new call; None if there are no callbacks."""
        if not self._callbacks.any:
            return None
        if self._threads is None:
            self._threads = DaemonThreads(_THREADS), DaemonThreads(_END_THREADS)
        usual, end = self._threads
        return CallbackQueue(self._callbacks, usual.run, end.run, timeout=self._timeout)

    async def run(self, queue: CallbackQueue, call: PhoneCall) -> None:
        """Runs the callbacks of one call, until its end is reported."""
        self._active[queue] = call
        await queue.run(call)
        del self._active[queue]
        self.dropped += queue.dropped

    async def drain(self) -> None:
        """Runs what is left of the calls whose `run` was cancelled, because the worker stops.

        Functions that were cancelled get a moment to clean up, before the event loop ends.
        """
        with anyio.move_on_after(self._timeout + _END_GRACE):
            async with anyio.create_task_group() as tasks:
                for queue, call in self._active.items():
                    queue.close()
                    tasks.start_soon(queue.run, call)
        self._active.clear()
        await settle(_CLEANUP)
