from __future__ import annotations

import pytest

from patter_core.telephony.control import RecordingStatus
from patter_core.telephony.leg import Progress
from patter_plivo import statuses


@pytest.mark.parametrize(
    ("fields", "progress"),
    [
        ({"CallStatus": "ringing"}, Progress.RINGING),
        ({"CallStatus": "in-progress"}, Progress.ANSWERED),
        ({"CallStatus": "completed", "HangupCauseCode": "4000"}, Progress.COMPLETED),
        ({"CallStatus": "completed", "HangupCauseCode": "1000"}, Progress.COMPLETED),
        ({"CallStatus": "busy"}, Progress.BUSY),
        ({"CallStatus": "timeout"}, Progress.NO_ANSWER),
        ({"CallStatus": "no-answer"}, Progress.NO_ANSWER),
        ({"CallStatus": "failed"}, Progress.FAILED),
        ({"CallStatus": "failed", "HangupCauseCode": "1000"}, Progress.CANCELED),
        ({"CallStatus": "cancel"}, Progress.CANCELED),
        ({"CallStatus": "teleported"}, None),
        ({}, None),
    ],
)
def test_progress(fields: dict[str, str], progress: Progress | None) -> None:
    assert statuses.progress(fields) is progress


@pytest.mark.parametrize(
    ("code", "answered", "progress"),
    [
        (4000, True, Progress.COMPLETED),
        (3010, False, Progress.BUSY),
        (3000, False, Progress.NO_ANSWER),
        (1000, False, Progress.CANCELED),
        (2000, False, Progress.FAILED),
        (None, False, Progress.FAILED),
    ],
)
def test_how_a_call_ended(code: int | None, answered: bool, progress: Progress) -> None:
    assert statuses.ended(code, answered=answered) is progress


def test_a_recording_is_over_when_it_is_told() -> None:
    fields = {"recording_id": "r", "record_url": "https://x.example/r.wav", "recording_duration_ms": "2500"}
    done = RecordingStatus(recording_id="r", status="completed", url="https://x.example/r.wav", duration=2.5)
    assert statuses.recording(fields) == done
    assert statuses.recording({"recording_id": "r", "record_url": ""}).status == "failed"
    assert statuses.recording({**fields, "recording_duration_ms": "-1"}).duration == 0.0
