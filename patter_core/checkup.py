"""What `patter doctor` finds, and what a carrier, an engine or a sink contributes to it."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["Finding", "Level"]


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and could be better; or it could not be found out."""
    PROBLEM = "problem"
    """Calls will fail."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. Holds no secret and no phone number."""

    level: Level
    what: str
    """What was found, as a sentence."""
    remedy: str = ""
    """What to do about it, as a sentence."""
