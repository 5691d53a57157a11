"""The tasks of one session, and the wall around the parts that run in them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Protocol, TypeVar

from patter_core.aio.foreign import as_exception, run_behind, run_foreign
from patter_core.errors import EngineError, EngineLost, EngineTimeout, ForeignHang
from patter_core.events import Usage

__all__ = ["Closing", "Work", "as_part_error", "close", "open_part", "unbilled_by", "unsound"]

_log = logging.getLogger("patter.pipeline")

_CLOSE_WITHIN = 3.0
"""Seconds for the session of a part to close; an engine has five."""


class Closing(Protocol):
    """What is closed at the end."""

    async def aclose(self) -> None: ...


class Billing(Protocol):
    """What may have used something that it has not told."""

    def unbilled(self) -> Sequence[Usage]: ...


S = TypeVar("S", bound=Closing)


class Work:
    """Tasks that end with their session.

    Args:
        on_fault: called with what came out of one that should raise nothing: a fault of ours.
    """

    def __init__(self, on_fault: Callable[[Exception], None]) -> None:
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False

    def start(self, function: Callable[[], Coroutine[object, object, None]]) -> Callable[[], object]:
        """Runs a coroutine function. Returns a function that cancels it; after `end` it is not run."""
        if self._is_over:
            return _nothing
        task = asyncio.get_running_loop().create_task(self._run(function))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task.cancel

    async def end(self) -> None:
        """Cancels all of them, and waits for their end. Foreign code that ignores it is left behind."""
        self._is_over = True
        tasks = set(self._tasks) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_WITHIN)

    async def _run(self, function: Callable[[], Coroutine[object, object, None]]) -> None:
        try:
            await function()
        except BaseException as raised:  # noqa: BLE001 - a task that raises SystemExit would end the event loop
            self._on_fault(as_exception(raised))


def _nothing() -> None:
    """There is nothing to cancel."""


def named(what: str, part: object) -> str:
    """Returns what a part is, with its name, as errors tell it."""
    return f"{what} ({getattr(part, 'name', type(part).__name__)})"


def as_part_error(raised: BaseException, what: str) -> EngineError:
    """Returns what came out of a part as an `EngineError`; a fault of its plugin is logged with its traceback.

    For an `except BaseException` clause; our own cancellation is raised again.
    """
    fault = as_exception(raised)
    if isinstance(fault, EngineError):
        return fault
    if isinstance(fault, ForeignHang | TimeoutError):
        return EngineTimeout(f"{what} did not answer in time.", retry=True)
    _log.error("%s failed.", what, exc_info=fault)
    error = EngineLost(
        f"{what} raised {type(fault).__name__}.",
        retry=True,
        expected="an EngineError, or none",
        remedy="This is a bug of its plugin; the log has its traceback.",
    )
    error.__cause__ = fault
    return error


def unsound(what: str, event: object) -> EngineLost:
    """Returns the error for an event that is not as the part's contract says."""
    return EngineLost(
        f"{what} reported something that its contract does not allow.",
        retry=True,
        got=type(event).__name__,
        remedy="This is a bug of its plugin: its kind has a check for it.",
    )


async def open_part(open_one: Callable[[], Awaitable[S]], within: float, what: str) -> S:
    """Opens a session of a part. One that is given up, and succeeds later, is closed.

    Raises:
        EngineError: it failed, whatever the part raised; `EngineTimeout` if it took longer than `within` s.
    """
    sessions: list[S] = []
    is_wanted = True

    async def attempt() -> None:
        session = await open_one()
        sessions.append(session)
        if not is_wanted:
            await close(session)

    try:
        await run_foreign(attempt, within)
    except BaseException as raised:  # noqa: BLE001 - the plugin boundary; our own cancellation is raised again
        is_wanted = False
        if sessions:  # it was ready at the moment at which it was given up
            run_behind(close, sessions[0])
        raise as_part_error(raised, what) from None
    return sessions[0]


def unbilled_by(session: Billing, what: str) -> list[Usage]:
    """Returns what the session of a part has used and not told. Never raises."""
    try:
        told: Sequence[object] = session.unbilled()
        return [usage for usage in told if isinstance(usage, Usage)]
    except BaseException as raised:  # noqa: BLE001 - the plugin boundary
        _log.error("%s could not tell what was used last.", what, exc_info=as_exception(raised))
        return []


async def close(session: Closing) -> None:
    """Closes the session of a part, in bounded time. Never raises, except for our own cancellation."""
    try:
        await run_foreign(session.aclose, _CLOSE_WITHIN)
    except Exception:  # noqa: BLE001 - the plugin boundary: nothing needs it any more
        _log.exception("The session of a part failed to close.")
