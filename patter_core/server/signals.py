"""The signals that stop a process, held until live calls are over.

Servers cut their connections when they are told to stop, and tell the app afterwards. So where Patter is mounted in an
app, the signals are taken before the server hears of them: calls are drained first, then the signal is raised again
for whom it was meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextvars import ContextVar
from types import FrameType

import anyio
import msgspec

__all__ = [
    "Stoppable",
    "held_signals",
    "keep_signals",
    "own_server",
    "reason_of",
    "stop_on_signal",
    "stop_process",
    "stop_signals",
]

_HELD = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], object] | int | None


_reasons: dict[int, str] = {}


def stop_process(reason: str) -> None:
    """Stops this process as a SIGTERM from outside does. `reason_of` tells the reason in place of it."""
    _reasons[signal.SIGTERM] = reason
    os.kill(os.getpid(), signal.SIGTERM)


def reason_of(number: int) -> str:
    """Returns why the process stops on a signal: its name, or the reason that `stop_process` was given."""
    return _reasons.get(number) or signal.Signals(number).name


class Stoppable(msgspec.Struct, frozen=True, eq=False):
    """What is stopped by a signal."""

    stop: Callable[[int], Awaitable[None]]
    """Called with the first signal; returns when the process may end."""
    hurry: Callable[[], Awaitable[None]]
    """Called at the second signal: `stop` returns soon."""


def stop_signals() -> list[signal.Signals]:
    """Returns the signals that stop a server of our own: SIGHUP too, unless the process was started to ignore it."""
    hup = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    return [*_HELD, *hup]


async def stop_on_signal(
    stoppable: Stoppable, signals: AsyncIterator[signal.Signals], on_first: Callable[[], None]
) -> None:
    """Waits for a signal, and stops `stoppable`; at the next one, in a hurry. `on_first` is called before."""

    async def hurry() -> None:
        async for _ in signals:
            await stoppable.hurry()

    first = await anext(signals)
    on_first()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hurry)
        await stoppable.stop(first)
        tasks.cancel_scope.cancel()


own_server: ContextVar[bool] = ContextVar("own_server", default=False)
"""True in the tasks of a server of our own. It listens to no signal; what runs it does."""

_Act = Callable[[Stoppable, int], Coroutine[object, object, None]]


@contextlib.contextmanager
def held_signals(stoppable: Stoppable) -> Iterator[None]:
    """Stops `stoppable` on a signal, and passes the signal on afterwards; the third one is passed on at once.

    Does nothing outside of the main thread, which is where Python handles signals, and under a server of our own.
    """
    if own_server.get() or threading.current_thread() is not threading.main_thread():
        yield
        return
    _held.add(stoppable)
    try:
        yield
    finally:
        _held.remove(stoppable)


def keep_signals() -> None:
    """Takes the signals again, if a server has taken them since `held_signals` did: some do so after they started."""
    if threading.current_thread() is threading.main_thread():
        _held.keep()


class _Held:
    """The signals of this process, while something that is to be stopped first runs in its main thread."""

    def __init__(self) -> None:
        self._stoppables: dict[Stoppable, asyncio.AbstractEventLoop] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._previous: dict[signal.Signals, _Handler] = {}
        self._wakeups = _Wakeups()
        self._count = 0
        self._running = 0
        """How many of them are being stopped."""
        self._passed_on = False

    def add(self, stoppable: Stoppable) -> None:
        if not self._stoppables:
            self._count, self._passed_on = 0, False
        self._stoppables[stoppable] = asyncio.get_running_loop()
        self.keep()

    def remove(self, stoppable: Stoppable) -> None:
        del self._stoppables[stoppable]
        if not self._stoppables:
            self._release()

    def keep(self) -> None:
        if not self._stoppables or self._passed_on:
            return
        for number in _HELD:
            handler = signal.getsignal(number)
            if handler not in (self._handle, signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._handle)
        self._wakeups.take()

    def _release(self) -> None:
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._handle:  # a server that ends has put another one there
                signal.signal(number, previous)
        self._previous.clear()
        self._wakeups.release()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:
            self._pass_on(number)
            return
        act = self._stop if self._count == 1 else self._hurry
        if self._count == 1:
            self._running = len(self._stoppables)
        for stoppable, loop in self._stoppables.items():
            loop.call_soon_threadsafe(self._start, act, stoppable, number)

    def _start(self, act: _Act, stoppable: Stoppable, number: int) -> None:
        task = asyncio.get_running_loop().create_task(act(stoppable, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self, stoppable: Stoppable, number: int) -> None:
        try:
            await stoppable.stop(number)
        finally:
            self._running -= 1
            if not self._running and self._previous and not self._passed_on:
                self._pass_on(number)

    async def _hurry(self, stoppable: Stoppable, number: int) -> None:
        del number
        await stoppable.hurry()

    def _pass_on(self, number: int) -> None:
        """Delivers the signal as if it came now, to the handler that was there before."""
        self._passed_on = True
        self._release()
        signal.raise_signal(number)


class _Wakeups:
    """What Python tells an event loop of signals, without those that are held.

    Handlers of `loop.add_signal_handler` are called by the loop, which reads the numbers of signals from the
    descriptor of `signal.set_wakeup_fd`, whatever handler `signal.signal` has set.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._target = -1

    def take(self) -> None:
        target = signal.set_wakeup_fd(-1)
        if target == -1:  # the loop has no handlers
            return
        if self._ends is None:
            read, write = self._ends = socket.socketpair()
            for end in self._ends:
                end.setblocking(False)
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(read, self._filter, read)
        _, write = self._ends
        if target != write.fileno():
            self._target = target
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)

    def release(self) -> None:
        if self._loop is None or self._ends is None:
            return
        read, write = self._ends
        taken = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(self._target if taken == write.fileno() else taken)
        self._loop.remove_reader(read)
        for end in self._ends:
            end.close()
        self._loop = self._ends = None

    def _filter(self, read: socket.socket) -> None:
        passed = bytes(number for number in read.recv(4096) if number not in _HELD)
        if passed:
            with contextlib.suppress(BlockingIOError):  # the loop has as many to read as it can hold
                os.write(self._target, passed)


_held = _Held()
