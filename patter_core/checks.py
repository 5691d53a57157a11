"""The results of `patter doctor`, and what carriers, engines, sinks and stores contribute to them."""

from __future__ import annotations

import enum

import msgspec

from patter_core.errors import PatterError

__all__ = ["CheckResult", "Level", "problem_of"]


class Level(enum.StrEnum):
    """The severity of a result."""

    OK = "ok"
    WARNING = "warning"
    """It works, but could be better; or it could not be checked."""
    PROBLEM = "problem"
    """Calls will fail."""


class CheckResult(msgspec.Struct, frozen=True):
    """The result of one check. It holds no secret and no phone number."""

    level: Level
    what: str
    """What was found, as a sentence."""
    remedy: str = ""
    """What to do about it, as a sentence."""


def problem_of(error: PatterError) -> CheckResult:
    """Returns one of Patter's errors as the result of a check."""
    remedy = " ".join(part for part in (error.expected and f"Expected {error.expected}.", error.remedy) if part)
    return CheckResult(Level.PROBLEM, error.problem, remedy)
