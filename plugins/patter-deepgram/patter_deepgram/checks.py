"""The checks of `patter doctor`: key, model and options, by a session in which nothing is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from patter_core.audio import ULAW_8000, AudioFormat
from patter_core.checks import CheckResult, Level, problem_of
from patter_core.errors import EngineError

__all__ = ["check_open"]


class _Session(Protocol):
    async def aclose(self) -> None: ...


async def check_open(open_one: Callable[[AudioFormat], Awaitable[_Session]], fine: str) -> Sequence[CheckResult]:
    """Checks the configuration by what a call does: connecting costs nothing.

    Args:
        open_one: opens a session for a carrier of that format.
        fine: what is told if it opens.
    """
    try:
        session = await open_one(ULAW_8000)
    except EngineError as error:
        found = problem_of(error)
        told = f"{found.what} Got {error.got}." if error.got else found.what  # why the service refused
        return [CheckResult(found.level, told, found.remedy)]
    await session.aclose()
    return [CheckResult(Level.OK, fine)]
