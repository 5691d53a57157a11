"""What a worker counts beside its calls: those that it did not take, and requests that were no good webhook."""

from __future__ import annotations

import enum

__all__ = ["Counts", "TurnedAway", "Unfit"]


class TurnedAway(enum.StrEnum):
    """Why an incoming call is not taken."""

    FULL = "full"
    """There are as many calls as `Limits` allow, at once or a second."""
    NOT_ROUTED = "not_routed"
    """Nothing says who answers it."""
    MISROUTED = "misrouted"
    """It was routed to an agent that cannot take it, or with options that are wrong."""
    NO_AGENT = "no_agent"
    """It is for an agent that this worker does not have."""
    REJECTED = "rejected"
    """The user's own code rejected it."""
    TRANSFERRED = "transferred"
    """The user's own code transferred it."""


class Unfit(enum.StrEnum):
    """Why a request is no good webhook."""

    REFUSED = "refused"
    """The carrier's plugin refused it: nothing proves that the carrier sent it."""
    FAILED = "failed"
    """The carrier's plugin failed."""
    TOO_SLOW = "too_slow"
    TOO_LONG = "too_long"
    NOWHERE = "nowhere"
    """No webhook is where it came to, or not for its method."""


class Counts:
    """Starts at 0 for each reason, so that the first one shows as a change."""

    def __init__(self) -> None:
        self.turned_away = {reason.value: 0 for reason in TurnedAway}
        self.webhooks_refused = {reason.value: 0 for reason in Unfit}
