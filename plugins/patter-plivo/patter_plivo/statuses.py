"""What Plivo's webhooks and its API say of a call, in the core's terms. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import Progress

__all__ = ["PROGRESS", "ended", "progress", "recording"]

PROGRESS: Mapping[str, Progress] = {
    "queued": Progress.DIALLING,
    "ringing": Progress.RINGING,
    "early-media": Progress.RINGING,
    "in-progress": Progress.ANSWERED,
    "completed": Progress.COMPLETED,
    "busy": Progress.BUSY,
    "failed": Progress.FAILED,
    "timeout": Progress.NO_ANSWER,
    "no-answer": Progress.NO_ANSWER,
    "cancel": Progress.CANCELED,
}
"""Plivo's call statuses (page "XML request")."""
_CANCELLED = "1000"
"""The hang-up cause of a call that we cancelled while it rang."""
_CAUSES: Mapping[str, Progress] = {
    "1000": Progress.CANCELED,
    "3000": Progress.NO_ANSWER,
    "3010": Progress.BUSY,
    "3020": Progress.BUSY,
}
"""Hang-up causes of calls that were not answered (page "Hangup causes and sources"); others mean that it failed."""


def progress(fields: Mapping[str, str]) -> Progress | None:
    """Returns the progress of the call in a webhook; None for a status that is not known here."""
    found = PROGRESS.get(fields.get("CallStatus", ""))
    is_cancelled = fields.get("HangupCauseCode") == _CANCELLED and found is not None and found.is_final
    return Progress.CANCELED if is_cancelled and found is not Progress.COMPLETED else found


def ended(cause_code: int | None, *, answered: bool) -> Progress:
    """Returns how a call ended, of which the API has the detail record."""
    return Progress.COMPLETED if answered else _CAUSES.get(str(cause_code), Progress.FAILED)


def recording(fields: Mapping[str, str]) -> RecordingStatus:
    """Returns the state of a recording, which is over when Plivo tells of it."""
    duration_ms = fields.get("recording_duration_ms", "")
    seconds = float(duration_ms) / 1000 if duration_ms.isascii() and duration_ms.isdigit() else 0.0
    url = fields.get("record_url", "")
    return RecordingStatus(
        recording_id=fields.get("recording_id", ""), status="completed" if url else "failed", url=url, duration=seconds
    )
