"""Calls functions of users and plugins that may be coroutine functions or plain ones: callbacks, hooks, tools.

A coroutine function runs in a task of its own, a plain one in a thread, so that neither is in the way of the audio.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from patter_core.aio.allowance import Allowance
from patter_core.aio.foreign import run_foreign, stack_of
from patter_core.aio.stacks import stack_of_thread
from patter_core.errors import ForeignHang

__all__ = ["RunInThread", "call_foreign", "is_coroutine_function"]

T = TypeVar("T")


class RunInThread(Protocol):
    """Runs a function in a thread, and returns or raises what it does. If cancelled, the thread is abandoned."""

    async def __call__(self, function: Callable[[], T], /) -> T: ...


def is_coroutine_function(function: Callable[..., object]) -> bool:
    """True if calling it returns a coroutine: a coroutine function, or an object whose `__call__` is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


async def call_foreign(
    function: Callable[..., object],
    within: float | Allowance | None,
    in_thread: RunInThread,
    /,
    *args: object,
    **kwargs: object,
) -> object:
    """Returns what a foreign function returns. An awaitable that a plain function returns is awaited.

    Args:
        function: a coroutine function or a plain one.
        within: s, with the time until a thread is free, or a time that may be paused; None for no limit.
        in_thread: runs a plain function, as `DaemonThreads.run`.
        args: for the function.
        kwargs: for the function.

    Raises:
        Exception: what the function raises.
        ForeignFault: as `run_foreign`.
        ForeignHang: it took longer. It is cancelled, its thread is abandoned; notes of the error have the place.
        asyncio.CancelledError: the caller was cancelled. Notes of the error have the place where the function was.
    """
    work = _Work(function, functools.partial(function, *args, **kwargs), in_thread)
    try:
        return await run_foreign(work.run, within)
    except (ForeignHang, asyncio.CancelledError) as error:
        for note in work.places(with_task=isinstance(error, asyncio.CancelledError)):
            error.add_note(note)
        raise


class _Work:
    """One call of a function, and where it is."""

    def __init__(self, function: Callable[..., object], call: Callable[[], object], in_thread: RunInThread) -> None:
        self._is_coroutine_function = is_coroutine_function(function)
        self._call = call
        self._in_thread = in_thread
        self._task: asyncio.Task[object] | None = None
        self._thread = 0

    async def run(self) -> object:
        self._task = asyncio.current_task()
        result = self._call() if self._is_coroutine_function else await self._in_thread(self._call_in_thread)
        return await result if isinstance(result, Awaitable) else result

    def places(self, *, with_task: bool) -> list[str]:
        """Returns where the function is, as notes for an error; none if it has not begun."""
        stacks = {"In its thread": stack_of_thread(self._thread) if self._thread else ""}
        if with_task and self._task is not None:
            stacks = {"It was here": stack_of(self._task)} | stacks
        return [f"{where}:\n{stack}" for where, stack in stacks.items() if stack]

    def _call_in_thread(self) -> object:
        self._thread = threading.get_ident()
        try:
            return self._call()
        finally:
            self._thread = 0
