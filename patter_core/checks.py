"""What `patter doctor` finds, and what a carrier, an engine or a sink contributes to it."""

from __future__ import annotations

import enum

import msgspec

from patter_core.errors import PatterError

__all__ = ["CheckResult", "Level", "problem_of"]


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and could be better; or it could not be found out."""
    PROBLEM = "problem"
    """Calls will fail."""


class CheckResult(msgspec.Struct, frozen=True):
    """One thing that was looked at. Holds no secret and no phone number."""

    level: Level
    what: str
    """What was found, as a sentence."""
    remedy: str = ""
    """What to do about it, as a sentence."""


def problem_of(error: PatterError) -> CheckResult:
    """An error of ours as a problem that was found."""
    remedy = " ".join(part for part in (error.expected and f"Expected {error.expected}.", error.remedy) if part)
    return CheckResult(Level.PROBLEM, error.problem, remedy)
