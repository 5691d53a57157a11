"""What the log tells of calls: one line for each, one for each that was turned away, and at INFO the story of a call.

Under overload, calls that were turned away are counted by their reason, as `patter_core.observe.logs` does.
The lines hold no phone number but for its last digits, and nothing that was said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from patter_core.call.token import CallToken
from patter_core.events import CallEnded, CallMetrics, Record
from patter_core.observe.log_setup import CALLS, STORIES
from patter_core.observe.logs import KIND
from patter_core.observe.masking import mask_address
from patter_core.observe.redaction import Redaction, Redactor
from patter_core.observe.terminal import counted
from patter_core.server.counts import TurnedAway
from patter_core.sinks.console import event_words
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import end_words

__all__ = ["CallLines", "turned_away"]

_calls = logging.getLogger(CALLS)
_story = logging.getLogger(STORIES)

_WHY = {
    TurnedAway.FULL: "with {calls} live or accepted, no more are taken (Limits.calls, .calls_per_second).",
    TurnedAway.NOT_ROUTED: "nothing says who answers it: serve() or route() has no agent for the number.",
    TurnedAway.MISROUTED: "it was routed to what cannot take it.",
    TurnedAway.NO_AGENT: "this worker does not have the agent that it is for.",
    TurnedAway.REJECTED: "its route rejects it.",
    TurnedAway.TRANSFERRED: "its route transfers it.",
}
_WANTED = frozenset({TurnedAway.REJECTED, TurnedAway.TRANSFERRED})
"""By the user's own code: no reason for a warning."""


class CallLines:
    """Writes the calls of a worker into the log."""

    def __init__(self) -> None:
        self._redactor = Redactor(Redaction(transcripts=True, numbers="all"))

    def of(self, token: CallToken) -> Callable[[Record], None]:
        """Returns what takes the records of a call. It never waits."""

        def put(record: Record) -> None:
            event = record.event
            if _story.isEnabledFor(logging.INFO):
                words = event_words(self._redactor.apply(record).event)
                if words is not None:
                    _story.info("Call %s: %.2f s: %s", record.call_id, record.elapsed_ms / 1000, words[1])
            if isinstance(event, CallEnded):
                _tell_end(token, event)

        return put


def turned_away(leg: Leg, reason: TurnedAway, *, live: int) -> None:
    """Tells that an incoming call was not taken.

    Args:
        leg: the call.
        reason: why.
        live: how many calls are in flight.
    """
    _calls.log(
        logging.INFO if reason in _WANTED else logging.WARNING,
        "%s, call %s of %s, was turned away: %s",
        _who(leg.from_number, leg.to_number),
        leg.call_id,
        leg.carrier,
        _WHY[reason].format(calls=counted(live, "call")),
        extra={KIND: reason.value},
    )


def _tell_end(token: CallToken, ended: CallEnded) -> None:
    metrics, why = ended.metrics, ended.detail.rstrip().removesuffix(".")
    _calls.info(
        "Call %s %s, %s: %.1f s, %s; agent %s, %s of it and %d of the caller, reply %s.%s",
        token.call_id,
        _who(token.from_number, token.to_number),
        token.direction.value,
        ended.duration_ms / 1000,
        end_words(ended.reason, ended.by).replace("_", " "),
        token.agent,
        counted(metrics.turns, "turn"),
        metrics.user_turns,
        _reply(metrics),
        f" Why it ended: {why}." if why else "",
    )


def _who(from_number: str, to_number: str) -> str:
    return f"from {mask_address(from_number) or 'a withheld number'} to {mask_address(to_number) or 'no number'}"


def _reply(metrics: CallMetrics) -> str:
    """Returns the time that half of the replies took at most, where one was measured."""
    latency = metrics.speech_reply or metrics.reply
    return "not measured" if latency is None else f"after {latency.p50_ms:.0f} ms"
