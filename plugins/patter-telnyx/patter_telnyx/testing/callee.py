"""Who is called, where a call is, and how the API refuses: what the parts of an emulated call share."""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

from patter_core.testing.caller import Caller

__all__ = ["CallStatus", "Callee", "Refusal"]


class CallStatus(enum.StrEnum):
    """Where a call is."""

    RINGING = "ringing"
    ANSWERED = "answered"
    OVER = "over"


class Callee(msgspec.Struct, frozen=True, kw_only=True):
    """Who is called when the app dials, or transfers."""

    caller: Caller | None = None
    """What he does once he has answered; None listens for ever."""
    does: Literal["answer", "busy", "reject", "no_answer", "not_found"] = "answer"
    after: float = 0.05
    """Seconds that it rings until then."""
    is_: Literal["human", "machine", "not_sure"] = "human"
    """What machine detection finds, where it is asked for; a machine's greeting ends a little later, with a beep."""
    talks: float = 60.0
    """Seconds until he hangs up, as the far end of a transfer."""


class Refusal(Exception):
    """The API does not do it."""

    def __init__(self, status: int, code: str, title: str) -> None:
        self.status = status
        self.code = code
        self.title = title
        super().__init__(title)
