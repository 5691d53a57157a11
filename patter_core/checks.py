"""The results of `patter doctor`, and what carriers, engines, sinks and stores contribute to them."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Sequence

import msgspec

from patter_core.errors import PatterError

__all__ = ["CheckResult", "Level", "checked", "problem_of"]


class Level(enum.StrEnum):
    """The severity of a result."""

    OK = "ok"
    WARNING = "warning"
    """It works, but could be better."""
    UNKNOWN = "unknown"
    """It could not be checked: whether calls work is not known."""
    PROBLEM = "problem"
    """Calls will fail."""


class CheckResult(msgspec.Struct, frozen=True):
    """The result of one check. It holds no secret."""

    level: Level
    what: str
    """What was found, as a sentence."""
    remedy: str = ""
    """What to do about it, as a sentence."""
    details: tuple[str, ...] = ()
    """Sentences that are told on a line each."""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.what, self.remedy)))


def problem_of(error: PatterError) -> CheckResult:
    """Returns one of Patter's errors as the result of a check."""
    found = (error.expected and f"Expected {error.expected}.", error.got and f"Got {error.got}.", error.remedy)
    remedy = " ".join(filter(None, found))
    return CheckResult(Level.PROBLEM, error.problem, remedy, tuple(error.details))


async def checked(check: Awaitable[object], ok: str) -> Sequence[CheckResult]:
    """Awaits a check that raises one of Patter's errors for what it finds. Returns that, or `ok`."""
    try:
        await check
    except PatterError as error:
        return (problem_of(error),)
    return (CheckResult(Level.OK, ok),)
