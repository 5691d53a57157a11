from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.telephony.leg import AnsweredBy, Progress
from patter_twilio import statuses


@pytest.mark.parametrize("status", statuses.PROGRESS)
def test_every_status_has_its_progress(status: str) -> None:
    progress = statuses.progress({"CallStatus": status})
    assert progress is not None
    assert progress.is_final is (status not in {"queued", "initiated", "ringing", "in-progress"})


@given(
    st.dictionaries(st.sampled_from(["CallStatus", "AnsweredBy", "RecordingStatus", "RecordingDuration"]), st.text())
)
def test_any_fields_can_be_read(fields: dict[str, str]) -> None:
    assert statuses.progress(fields) in {None, *Progress}
    assert statuses.answered_by(fields) in AnsweredBy
    assert statuses.recording(fields).duration >= 0
