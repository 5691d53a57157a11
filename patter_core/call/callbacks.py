"""Call the user's functions: in order within a call, from a bounded queue, and never in the way of the audio.

A function that raises is reported with its traceback; one that hangs is given up and reported with the place where it
hangs. In both cases the call goes on. The call's end is told exactly once, and soon, whatever waits before it.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import msgspec

from patter_core.call.handle import PhoneCall
from patter_core.events import (
    CallEnded,
    CallEvent,
    MediaStarted,
    Record,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.threads import DaemonThreads

__all__ = ["CallbackQueue", "CallbackRunner", "Transcript", "UserCallbacks"]

_log = logging.getLogger("patter.callbacks")

_QUEUE_LIMIT = 1_000
"""What waits for the functions of one call."""
_END_GRACE = 2.0
"""Seconds for what waits when a call ends; after them its end is told in any case."""
_THREADS = 64
"""For functions that are no coroutine functions, of all calls."""

Transcript = TranscriptInput | TranscriptOutput | TranscriptCorrection


class UserCallbacks(msgspec.Struct, frozen=True, kw_only=True):
    """The user's functions, each a coroutine function or a plain one."""

    on_call_start: Callable[[PhoneCall], object] | None = None
    """The caller is on the line: his audio is here. Once a call."""
    on_call_end: Callable[[PhoneCall, CallEnded], object] | None = None
    """It is over, whatever became of it. Once a call."""
    on_transcript: Callable[[PhoneCall, Transcript], object] | None = None
    on_event: Callable[[PhoneCall, CallEvent], object] | None = None
    """Every event, up to the end."""

    @property
    def any(self) -> bool:
        """Is there one?"""
        return bool(self.on_call_start or self.on_call_end or self.on_transcript or self.on_event)


class CallbackQueue:
    """What the functions are to be told of one call.

    Args:
        timeout: seconds for one function.
        limit: how many events may wait; beyond it the oldest go.
    """

    def __init__(
        self, listeners: UserCallbacks, threads: DaemonThreads, *, timeout: float, limit: int = _QUEUE_LIMIT
    ) -> None:
        self.dropped = 0
        """Events that the functions were never told: no room, or no time before the end."""
        self._listeners = listeners
        self._threads = threads
        self._timeout = timeout
        self._waiting: deque[CallEvent] = deque()
        self._limit = limit
        self._started = False
        self._over = False
        self._end: CallEnded | None = None
        self._wake = anyio.Event()
        self._grace: anyio.CancelScope | None = None

    def put(self, record: Record) -> None:
        """Queue an event, if somebody wants it. Never waits."""
        event = record.event
        if self._over:
            return
        if self._wanted(event):
            if len(self._waiting) >= self._limit:
                self.dropped += 1
                self._waiting.popleft()
            self._waiting.append(event)
            self._wake.set()
        if isinstance(event, CallEnded):
            self._end = event
            self.close()

    def close(self) -> None:
        """Nothing follows. Again and at any time."""
        if not self._over:
            self._over = True
            self._wake.set()
            self._set_grace()

    async def run(self, call: PhoneCall) -> None:
        """Call the functions until the end is told. If cancelled, it can be run again for what is left."""
        with anyio.CancelScope() as self._grace:
            if self._over:
                self._set_grace()
            await self._tell_all(call)
        self._grace = None
        self.dropped += len(self._waiting)
        self._waiting.clear()
        if self.dropped:
            _log.error("Call %s: callbacks were too slow; they were not told of %d events.", call.id, self.dropped)
        end, self._end = self._end, None
        if end is not None and self._listeners.on_call_end is not None:
            await self._call("on_call_end", self._listeners.on_call_end, call, end)

    def _set_grace(self) -> None:
        if self._grace is not None:
            self._grace.deadline = anyio.current_time() + _END_GRACE

    async def _tell_all(self, call: PhoneCall) -> None:
        while self._waiting or not self._over:
            if self._waiting:
                await self._tell(call, self._waiting.popleft())
            else:
                self._wake = anyio.Event()
                await self._wake.wait()

    def _wanted(self, event: CallEvent) -> bool:
        listeners = self._listeners
        if listeners.on_event is not None:
            return True
        if isinstance(event, Transcript):
            return listeners.on_transcript is not None
        return isinstance(event, MediaStarted) and listeners.on_call_start is not None

    async def _tell(self, call: PhoneCall, event: CallEvent) -> None:
        listeners = self._listeners
        if isinstance(event, MediaStarted) and not self._started:
            self._started = True
            if listeners.on_call_start is not None:
                await self._call("on_call_start", listeners.on_call_start, call)
        elif isinstance(event, Transcript) and listeners.on_transcript is not None:
            await self._call("on_transcript", listeners.on_transcript, call, event)
        if listeners.on_event is not None:
            await self._call("on_event", listeners.on_event, call, event)

    async def _call(self, name: str, function: Callable[..., object], call: PhoneCall, *args: CallEvent) -> None:
        began = anyio.current_time()
        try:
            with anyio.move_on_after(self._timeout):
                try:
                    await self._run(function, call, *args)
                except anyio.get_cancelled_exc_class():
                    took = anyio.current_time() - began
                    _log.error(
                        "Call %s: %s is given up after %.1f s; the call goes on. It was here:\n%s",
                        call.id, name, took, traceback.format_exc(),
                    )  # fmt: skip
                    raise
        except Exception:  # noqa: BLE001 - the user's code: its fault is told and stays here
            _log.exception("Call %s: %s raised; the call goes on.", call.id, name)

    async def _run(self, function: Callable[..., object], *args: object) -> None:
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            result = function(*args)
        else:
            result = await self._threads.run(function, *args)
        if isinstance(result, Awaitable):
            await result


class CallbackRunner:
    """The user's functions, for all calls of a host. Without any, a call costs nothing.

    Args:
        timeout: seconds for one function.
    """

    def __init__(self, listeners: UserCallbacks, *, timeout: float) -> None:
        self._listeners = listeners
        self._timeout = timeout
        self._threads: DaemonThreads | None = None
        self._active: dict[CallbackQueue, PhoneCall] = {}

    def new_queue(self) -> CallbackQueue | None:
        """What listens to a new call; None if nobody does."""
        if not self._listeners.any:
            return None
        if self._threads is None:
            self._threads = DaemonThreads(_THREADS)
        return CallbackQueue(self._listeners, self._threads, timeout=self._timeout)

    async def run(self, listener: CallbackQueue, call: PhoneCall) -> None:
        """Call the functions of one call, until its end is told."""
        self._active[listener] = call
        await listener.run(call)
        del self._active[listener]

    async def drain(self) -> None:
        """Tell what is left of the calls whose `run` was cancelled: they are over."""
        with anyio.move_on_after(self._timeout + _END_GRACE):
            async with anyio.create_task_group() as tasks:
                for listener, call in self._active.items():
                    listener.close()
                    tasks.start_soon(listener.run, call)
        self._active.clear()
