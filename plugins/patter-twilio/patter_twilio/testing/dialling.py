"""The other end of a call that the app makes: how the called number behaves, and what the app wants to be told."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from patter_core.testing.caller import EndCall, Step, WaitForSilence

__all__ = ["CallStatus", "Callee", "Dialling", "read_dialling"]


class CallStatus(enum.StrEnum):
    """Where a call is, in Twilio's words."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"
    FAILED = "failed"


class Callee(msgspec.Struct, frozen=True, kw_only=True):
    """How a called number behaves."""

    steps: Sequence[Step] = (WaitForSilence(), EndCall())
    """What whoever answers does: on the line of the first stream."""
    outcome: CallStatus = CallStatus.IN_PROGRESS
    """In-progress if it is answered; else busy, no-answer or failed."""
    rings: float = 0.05
    """Seconds, until that."""
    answered_by: str = "human"
    """What the machine detection finds out, in Twilio's words."""
    detected_after: float = 0.05
    """Seconds from the answer to that."""


class Dialling(msgspec.Struct, frozen=True, kw_only=True):
    """What the app asked for when it had a call made."""

    callee: Callee
    timeout: float
    status_callback: str = ""
    status_events: tuple[str, ...] = ()
    detection: str = ""
    """`Enable` or `DetectMessageEnd`; "" for none."""
    detection_callback: str = ""


def read_dialling(form: Sequence[tuple[str, str]], callee: Callee) -> Dialling:
    """Of a request to create a call."""
    fields: Mapping[str, str] = dict(form)
    events = tuple(value for name, value in form if name == "StatusCallbackEvent")
    asynchronous = fields.get("AsyncAmd") == "true" and "SendDigits" not in fields
    return Dialling(
        callee=callee,
        timeout=float(fields.get("Timeout", "60")),
        status_callback=fields.get("StatusCallback", ""),
        status_events=events or ("completed",),
        detection=fields.get("MachineDetection", "") if asynchronous else "",
        detection_callback=fields.get("AsyncAmdStatusCallback", ""),
    )
