"""What is known of a consult leg, the call to the human of a warm transfer. Sans-IO."""

from __future__ import annotations

import math

from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import ConsultResult

__all__ = ["ConsultLeg"]

_LATE = 5.0
"""Seconds beyond its ring timeout in which a consult leg is reported as unanswered."""
_CONNECTING = 25.0
"""Seconds after the brief in which another worker connects the legs, or the human is hung up."""
_SECONDS_A_CHARACTER = 0.15
"""How slowly a text is spoken at most."""
_RESULTS = {
    Progress.BUSY: ConsultResult.BUSY,
    Progress.NO_ANSWER: ConsultResult.NO_ANSWER,
}


class ConsultLeg:
    """One consult leg. Times are on the call's clock, in s.

    Args:
        consult_id: of its token.
        now: the time.
        ring_timeout: s.
        brief: what the human is told.
    """

    def __init__(self, consult_id: str, now: float, *, ring_timeout: float, brief: str) -> None:
        self.id = consult_id
        self.leg: Leg | None = None
        """None until the carrier has taken the call."""
        self.result: ConsultResult | None = None
        self.is_joining = False
        """True while this worker connects the legs: how that went is then all that counts."""
        self.was_answered = False
        self.was_gone = False
        """True once a look found the human gone and the caller there."""
        self.is_over = False
        self.rings_until = now + ring_timeout
        self.told_by = math.inf
        """When the brief must have been heard: who is still there then was connected, by another worker."""
        self._brief_seconds = _CONNECTING + len(brief) * _SECONDS_A_CHARACTER

    @property
    def answer_by(self) -> float:
        """Until when an answer may be reported."""
        return self.rings_until + _LATE

    def is_open(self) -> bool:
        """True while it is not known what comes of it, and this worker is not just connecting the legs."""
        return self.result is None and not self.is_joining

    def answered(self, now: float) -> None:
        """The human has answered. Idempotent."""
        if not self.was_answered:
            self.was_answered = True
            self.told_by = now + self._brief_seconds

    def ended(self, progress: Progress) -> None:
        """The consult leg is over, and was not connected."""
        self.is_over = True
        if self.was_answered or progress is Progress.COMPLETED:
            self.result = ConsultResult.HUNG_UP
        else:
            self.result = _RESULTS.get(progress, ConsultResult.FAILED)
