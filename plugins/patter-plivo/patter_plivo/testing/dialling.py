"""Calls that the app makes: what it asked for, and how Plivo puts what becomes of a call."""

from __future__ import annotations

import enum

import msgspec

from patter_core.telephony.leg import AnsweredBy, Progress
from patter_core.testing.call import Callee

__all__ = ["CAUSES", "OUTCOMES", "CallBody", "CallStatus", "Dialling"]


class CallStatus(enum.StrEnum):
    """Where a call is, in Plivo's words."""

    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    TIMEOUT = "timeout"
    NO_ANSWER = "no-answer"
    CANCEL = "cancel"


OUTCOMES = {
    Progress.BUSY: CallStatus.BUSY,
    Progress.NO_ANSWER: CallStatus.TIMEOUT,
    Progress.FAILED: CallStatus.FAILED,
}
"""How a call ends that is not answered."""
CAUSES = {
    CallStatus.BUSY: 3010,
    CallStatus.FAILED: 2000,
    CallStatus.TIMEOUT: 3000,
    CallStatus.NO_ANSWER: 3000,
    CallStatus.CANCEL: 1000,
}
"""The code of the hang-up cause; 4000 for others."""


class CallBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST Call/`, with the fields of Plivo's page "Make a call"; another field is an error."""

    from_: str = msgspec.field(name="from")
    to: str
    answer_url: str
    answer_method: str = "POST"
    fallback_url: str = ""
    ring_url: str = ""
    hangup_url: str = ""
    ring_timeout: int = 120
    machine_detection: str = ""
    machine_detection_url: str = ""
    machine_detection_time: int = 5_000
    time_limit: int = 14_400
    callback_url: str = ""
    callback_method: str = "POST"
    ring_method: str = "POST"
    hangup_method: str = "POST"
    fallback_method: str = "POST"
    machine_detection_method: str = "POST"
    machine_detection_maximum_speech_length: int = 5_000
    machine_detection_initial_silence: int = 4_500
    machine_detection_maximum_words: int = 6
    caller_name: str = ""
    send_digits: str = ""
    send_on_preanswer: bool = False
    hangup_on_ring: int = 0
    sip_headers: str = ""
    parent_call_uuid: str = ""
    error_if_parent_not_found: bool = False


class Dialling(msgspec.Struct, frozen=True, kw_only=True):
    """What the app asked for when it had a call made."""

    request_uuid: str
    body: CallBody
    callee: Callee

    @property
    def detects(self) -> bool:
        """True if a machine answers, and is to be found out beside the call."""
        is_machine = self.callee.answered_by in {AnsweredBy.MACHINE, AnsweredBy.MACHINE_READY}
        return is_machine and bool(self.body.machine_detection and self.body.machine_detection_url)
