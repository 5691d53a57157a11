"""Calls that the app makes: what it asked for, and how Twilio puts what becomes of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.call import Callee

__all__ = ["OUTCOMES", "CallStatus", "Dialling", "answered_by", "read_dialling"]


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


OUTCOMES = {
    Progress.BUSY: CallStatus.BUSY,
    Progress.NO_ANSWER: CallStatus.NO_ANSWER,
    Progress.FAILED: CallStatus.FAILED,
}
"""How a call ends that is not answered."""


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


def answered_by(dialling: Dialling) -> str:
    """Who answered, in the words of Twilio's machine detection. The end of a greeting is awaited only if asked for."""
    match dialling.callee.answered_by:
        case AnsweredBy.MACHINE | AnsweredBy.MACHINE_READY:
            return "machine_end_beep" if dialling.detection == "DetectMessageEnd" else "machine_start"
        case who:
            return who.value
