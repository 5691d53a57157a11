"""Twilio's status callbacks in the core's terms. Pure functions of a form's fields."""

from __future__ import annotations

from collections.abc import Mapping

from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import AnsweredBy, Progress

__all__ = ["PROGRESS", "answered_by", "progress", "recording"]

PROGRESS: Mapping[str, Progress] = {
    "queued": Progress.DIALLING,
    "initiated": Progress.DIALLING,
    "ringing": Progress.RINGING,
    "in-progress": Progress.ANSWERED,
    "completed": Progress.COMPLETED,
    "busy": Progress.BUSY,
    "no-answer": Progress.NO_ANSWER,
    "canceled": Progress.CANCELED,
    "failed": Progress.FAILED,
}
"""Twilio's call statuses (page "Call resource")."""

_RECORDING = {"completed": "completed", "absent": "absent", "failed": "failed"}


def progress(fields: Mapping[str, str]) -> Progress | None:
    """Returns the progress of the call; None for a status that is not known here."""
    return PROGRESS.get(fields.get("CallStatus", ""))


def answered_by(fields: Mapping[str, str]) -> AnsweredBy:
    """Returns the result of machine detection (page "Answering Machine Detection")."""
    result = fields.get("AnsweredBy", "")
    if result == "human":
        return AnsweredBy.HUMAN
    if result == "fax":
        return AnsweredBy.FAX
    if result.startswith("machine_end"):
        return AnsweredBy.MACHINE_READY
    return AnsweredBy.MACHINE if result.startswith("machine") else AnsweredBy.UNKNOWN


def recording(fields: Mapping[str, str]) -> RecordingStatus:
    """Returns the state of a recording (page "Recording status callback")."""
    duration = fields.get("RecordingDuration", "")
    return RecordingStatus(
        recording_id=fields.get("RecordingSid", ""),
        status=_RECORDING.get(fields.get("RecordingStatus", ""), "failed"),
        url=fields.get("RecordingUrl", ""),
        duration=float(duration) if duration.isascii() and duration.isdigit() else 0.0,
    )
