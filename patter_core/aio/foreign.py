"""Runs code that is not Patter's: plugins, callbacks, tools. What comes out of it reaches no neighbour.

Three things that foreign code may do would otherwise end more than itself:

* It may raise `CancelledError` without being cancelled, by awaiting a task that was. The caller would take it for its
  own cancellation, and the error would end the caller's task group, with every call in it. Whether a task is being
  cancelled is known: `Task.cancelling` counts the requests, of asyncio and of anyio alike.
* It may raise what is no `Exception`, such as `SystemExit`. A task that ends so ends the event loop.
* It may wait for ever, and ignore that it is cancelled.

So foreign code that may wait runs in a task of its own (`run_foreign`), and whatever comes out of foreign code is made
an `Exception` (`as_exception`) before any code of ours looks at it. A task that is no longer waited for is cancelled
and left behind: it cleans up by itself, and `settle` gives such tasks their time before the event loop ends.
"""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Callable, Coroutine
from typing import Generic, ParamSpec, TypeVar, cast

import msgspec

from patter_core.aio.allowance import Allowance
from patter_core.errors import ForeignFault, ForeignHang

__all__ = ["as_exception", "run_behind", "run_foreign", "settle", "stack_of"]

P = ParamSpec("P")
T = TypeVar("T")


class _Outcome(msgspec.Struct, Generic[T]):
    value: T | None = None
    error: BaseException | None = None


_left_behind: set[asyncio.Task[object]] = set()
"""Tasks that are no longer waited for. An event loop holds its tasks by weak references only."""


def as_exception(error: BaseException) -> Exception:
    """Returns what came out of foreign code as an `Exception`: itself, if it is one, else a `ForeignFault`.

    For the `except BaseException` clause around a foreign call. The cancellation of the present task, and the
    KeyboardInterrupt of a process that has no handler for SIGINT, are not its fault: they are raised again.
    """
    if isinstance(error, Exception):
        return error
    if isinstance(error, asyncio.CancelledError) and _is_cancelled():
        raise error
    if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        raise error
    return _fault(error)


async def run_foreign(
    function: Callable[P, Coroutine[object, object, T]],
    within: float | Allowance | None,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Returns what a foreign coroutine function returns; it runs in a task of its own.

    If the caller is cancelled, so is the function.

    Args:
        function: called in its task, with the other arguments.
        within: s, or a time that may be paused; None for no limit.
        args: for the function.
        kwargs: for the function.

    Raises:
        Exception: what the function raises.
        ForeignFault: it raises what is no Exception, or `CancelledError` without being cancelled.
        ForeignHang: it took longer. It is cancelled; a note of the error has the place where it was.
    """
    task: asyncio.Task[_Outcome[T]] = asyncio.get_running_loop().create_task(_contain(function, *args, **kwargs))
    try:
        if isinstance(within, Allowance):
            ends = cast("set[asyncio.Future[object]]", {task, within.spent})
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.wait({task}, timeout=within)
    except asyncio.CancelledError:
        _leave_behind(task)
        raise
    if not task.done():
        seconds = within.seconds if isinstance(within, Allowance) else within
        hang = ForeignHang("It took too long.", expected=f"an end within {seconds} s")
        hang.add_note(f"It was here:\n{stack_of(task)}")
        _leave_behind(task)
        raise hang
    if task.cancelled():  # the event loop was ended before it began
        raise _fault(asyncio.CancelledError())
    outcome = task.result()
    if outcome.error is None:
        return outcome.value  # type: ignore[return-value] # None is a value of T where T allows it
    raise outcome.error if isinstance(outcome.error, Exception) else _fault(outcome.error)


def run_behind(function: Callable[P, Coroutine[object, object, None]], *args: P.args, **kwargs: P.kwargs) -> None:
    """Runs a coroutine function of ours in a task that is not waited for, such as one that closes something foreign.

    It must end by itself, in bounded time, and raise nothing. `settle` gives it its time at the end.
    """
    _keep(asyncio.get_running_loop().create_task(function(*args, **kwargs)))


async def settle(within: float) -> int:
    """Waits for the tasks that were left behind on this event loop, up to `within` s. Returns how many still run."""
    loop = asyncio.get_running_loop()
    tasks = {task for task in _left_behind if task.get_loop() is loop}
    if not tasks:
        return 0
    _, pending = await asyncio.wait(tasks, timeout=within)
    return len(pending)


def stack_of(task: asyncio.Task[T]) -> str:
    """Returns the stack of a task of `run_foreign` that waits: the function, and what each coroutine awaits."""
    lines: list[str] = []
    awaited: object = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            lines += traceback.format_list(traceback.extract_stack(frame, limit=1))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return "".join(lines[1:])  # without `_contain`


async def _contain(
    function: Callable[P, Coroutine[object, object, T]], *args: P.args, **kwargs: P.kwargs
) -> _Outcome[T]:
    try:
        return _Outcome(value=await function(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001 - a task that raises SystemExit would end the event loop
        return _Outcome(error=error)


def _leave_behind(task: asyncio.Task[_Outcome[T]]) -> None:
    task.cancel()
    _keep(task)


def _keep(task: asyncio.Task[T]) -> None:
    _left_behind.add(task)
    task.add_done_callback(_left_behind.discard)


def _is_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # in a thread
        return False
    return task is not None and task.cancelling() > 0


def _fault(error: BaseException) -> ForeignFault:
    name = type(error).__name__
    if isinstance(error, asyncio.CancelledError):
        fault = ForeignFault(f"It raised {name}, without being cancelled.", remedy="Catch it where it is awaited.")
    else:
        fault = ForeignFault(f"It raised {name}.", expected="an Exception, or none")
    fault.__cause__ = error
    return fault
