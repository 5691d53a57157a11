"""The life of a call as a table.

A call needs two things before caller and agent can talk: the carrier's media and the engine's session. They come in
any order, since the engine may be connected while the phone still rings:

    DIALLING ──answered──▶ ACCEPTED ──media──▶ MEDIA_READY ──engine──┐
                               └──────engine──▶ ENGINE_READY ──media──┴─▶ LIVE ──▶ ENDING ──▶ ENDED

Only an outbound call is ever DIALLING. Media that breaks takes a call back from MEDIA_READY to ACCEPTED and from LIVE
to ENGINE_READY, where it waits a little: the carrier may come back with a new socket. From LIVE a call can also be
HELD, from which it comes back by way of ENGINE_READY. While the carrier carries out a transfer it is TRANSFERRING: that
ends the call, or, if the carrier refuses, leads back to the state before.

Every state has a way out, which leads to ENDED: at once, or through ENDING while the last word is being played. Every
state but HELD and ENDED has a deadline of its own, since a peer may say nothing; the longest call bounds all of them.

There are two kinds of signals. Those of **peers** (carrier, engine, clock) may come late, twice or out of place: each
state has a row for each of them, which leads to the same state where the signal means nothing. **Our own**
(`OWN_SIGNALS`) have a row only where they make sense; elsewhere they are a fault of ours and raise: ask
`CallState.allows` first. A call that is over tolerates all signals: it may end while an action awaits the carrier.
"""

from __future__ import annotations

import enum
import math

import msgspec

from patter_core.call.timeouts import Deadlines
from patter_core.errors import IllegalTransition
from patter_core.telephony.outcome import By, Reason

__all__ = ["OWN_SIGNALS", "TRANSITIONS", "CallState", "Signal", "State"]


class State(enum.Enum):
    """Where a call is."""

    DIALLING = "dialling"
    """An outbound call that was not answered yet."""
    ACCEPTED = "accepted"
    """The call is taken; neither media nor engine are here."""
    MEDIA_READY = "media ready"
    """The carrier's media are here; the engine is still connecting."""
    ENGINE_READY = "engine ready"
    """The engine is ready; the carrier's media are not here, or not any more."""
    LIVE = "live"
    HELD = "held"
    """The caller hears what the carrier plays to them; the conversation waits."""
    TRANSFERRING = "transferring"
    """The carrier is carrying out a transfer, or saying a voicemail message."""
    ENDING = "ending"
    """The last word is being played, within a bound."""
    ENDED = "ended"


class Signal(enum.Enum):
    """What moves a call."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    CANCELED = "canceled"
    DIAL_FAILED = "dial failed"
    MOVED = "moved"
    """Another worker has the call."""
    MEDIA_STARTED = "media started"
    ENGINE_READY = "engine ready"
    CARRIER_HUNG_UP = "carrier hung up"
    """The carrier reports that the call is over."""
    MEDIA_STOPPED = "media stopped"
    """The carrier ended the stream in good order."""
    MEDIA_LOST = "media lost"
    """The carrier's socket is gone, without a word about the call."""
    MEDIA_UNUSABLE = "media unusable"
    """The carrier streams a format that cannot be read, and would again."""
    MEDIA_TIMEOUT = "media timeout"
    """The media were here before and did not come back in time."""
    ENGINE_ENDED = "engine ended"
    """The agent ended the conversation."""
    ENGINE_FAILED = "engine failed"
    """The engine could not be reached, or was lost, and so were all fallback agents."""
    ENGINE_RETRIED = "engine retried"
    """The engine failed, and another session is being opened in its place."""
    HANG_UP = "hang up"
    HOLD = "hold"
    RESUME = "resume"
    TRANSFER = "transfer"
    """The carrier is asked to carry out a transfer."""
    TRANSFERRED = "transferred"
    TRANSFER_REFUSED = "transfer refused"
    VOICEMAIL = "voicemail"
    """The carrier is saying our message to an answering machine."""
    PLAYED_OUT = "played out"
    """The caller has heard the last word."""
    DEADLINE = "deadline"
    """The state's time is up."""
    TOO_LONG = "too long"
    """The call has lasted as long as a call may."""
    CRASHED = "crashed"
    """Our own code failed, or the worker is stopping at once."""


OWN_SIGNALS = frozenset(
    {Signal.HOLD, Signal.RESUME, Signal.TRANSFER, Signal.TRANSFERRED, Signal.TRANSFER_REFUSED, Signal.VOICEMAIL}
)
"""Signals of actions: they have a row only in the states where the action makes sense."""
_PEERS_SIGNALS = tuple(signal for signal in Signal if signal not in OWN_SIGNALS)


class Move(msgspec.Struct, frozen=True):
    """A row of the table: the next state, and what to report if this is what ends the call."""

    to: State
    reason: Reason | None = None
    by: By | None = None


_CALLER_HUNG_UP = Move(State.ENDED, Reason.CALLER_HUNG_UP, By.CALLER)
_NO_MEDIA = Move(State.ENDED, Reason.NO_MEDIA, By.CARRIER)
_MEDIA_LOST = Move(State.ENDED, Reason.MEDIA_LOST, By.CARRIER)
_TRANSFERRED = Move(State.ENDED, Reason.TRANSFERRED, By.HOST)
_TRANSFER = Move(State.TRANSFERRING)
_UNANSWERED: dict[Signal, Move] = {
    Signal.BUSY: Move(State.ENDED, Reason.BUSY, By.CALLER),
    Signal.NO_ANSWER: Move(State.ENDED, Reason.NO_ANSWER, By.CALLER),
    Signal.CANCELED: Move(State.ENDED, Reason.CANCELED, By.HOST),
    Signal.DIAL_FAILED: Move(State.ENDED, Reason.DIAL_FAILED, By.CARRIER),
}


def _row(state: State, end: State, moves: dict[Signal, Move]) -> dict[Signal, Move]:
    """Returns the row of a state: the ways out that all states share, and no effect for the rest of peers' signals.

    Args:
        state: which one.
        end: where the end of the conversation leads: ENDING, if a last word may be on its way.
        moves: what is special here.
    """
    return {
        **dict.fromkeys(_PEERS_SIGNALS, Move(state)),
        Signal.ENGINE_ENDED: Move(end, Reason.AGENT_HUNG_UP, By.AGENT),
        Signal.ENGINE_FAILED: Move(end, Reason.ENGINE_FAILED, By.ENGINE),
        Signal.HANG_UP: Move(end, Reason.HOST_HUNG_UP, By.HOST),
        Signal.TOO_LONG: Move(end, Reason.TOO_LONG, By.HOST),
        Signal.CARRIER_HUNG_UP: _CALLER_HUNG_UP,
        Signal.MOVED: Move(State.ENDED, Reason.MOVED, By.HOST),
        Signal.MEDIA_UNUSABLE: Move(State.ENDED, Reason.MEDIA_UNUSABLE, By.CARRIER),
        Signal.CRASHED: Move(State.ENDED, Reason.CRASHED, By.HOST),
        **moves,
    }


TRANSITIONS: dict[State, dict[Signal, Move]] = {
    State.DIALLING: _row(
        State.DIALLING,
        State.ENDED,
        {
            **_UNANSWERED,
            Signal.ANSWERED: Move(State.ACCEPTED),
            Signal.MEDIA_STARTED: Move(State.MEDIA_READY),
            Signal.DEADLINE: Move(State.ENDED, Reason.NO_ANSWER, By.CARRIER),
        },
    ),
    State.ACCEPTED: _row(
        State.ACCEPTED,
        State.ENDED,
        {
            **_UNANSWERED,  # after the answer, too: carriers do that, and the call is over in any case
            Signal.MEDIA_STARTED: Move(State.MEDIA_READY),
            Signal.ENGINE_READY: Move(State.ENGINE_READY),
            Signal.HOLD: Move(State.HELD),  # as in ENGINE_READY
            Signal.TRANSFER: _TRANSFER,
            Signal.DEADLINE: _NO_MEDIA,
            Signal.MEDIA_TIMEOUT: _MEDIA_LOST,
        },
    ),
    State.ENGINE_READY: _row(
        State.ENGINE_READY,
        State.ENDED,
        {
            Signal.MEDIA_STARTED: Move(State.LIVE),
            Signal.ENGINE_RETRIED: Move(State.ACCEPTED),
            Signal.HOLD: Move(State.HELD),  # the carrier refused to end the hold
            Signal.TRANSFER: _TRANSFER,
            Signal.DEADLINE: _NO_MEDIA,
            Signal.MEDIA_TIMEOUT: _MEDIA_LOST,
        },
    ),
    State.MEDIA_READY: _row(
        State.MEDIA_READY,
        State.ENDED,  # the agent has said nothing yet, so there is no last word to wait for
        {
            Signal.ENGINE_READY: Move(State.LIVE),
            Signal.MEDIA_STOPPED: _CALLER_HUNG_UP,
            Signal.MEDIA_LOST: Move(State.ACCEPTED),
            Signal.TRANSFER: _TRANSFER,
            Signal.DEADLINE: Move(State.ENDED, Reason.ENGINE_SLOW, By.ENGINE),
        },
    ),
    State.LIVE: _row(
        State.LIVE,
        State.ENDING,
        {
            Signal.MEDIA_STOPPED: _CALLER_HUNG_UP,
            Signal.MEDIA_LOST: Move(State.ENGINE_READY),
            Signal.ENGINE_RETRIED: Move(State.MEDIA_READY),
            Signal.HOLD: Move(State.HELD),
            Signal.TRANSFER: _TRANSFER,
        },
    ),
    State.HELD: _row(
        State.HELD,
        State.ENDED,
        {
            Signal.MEDIA_STARTED: Move(State.LIVE),
            Signal.ENGINE_ENDED: Move(State.HELD),  # another session is opened when the hold is over
            Signal.ENGINE_FAILED: Move(State.HELD),
            Signal.RESUME: Move(State.ENGINE_READY),
            Signal.TRANSFER: _TRANSFER,
            Signal.DEADLINE: Move(State.ENDED, Reason.TOO_LONG, By.HOST),
        },
    ),
    State.TRANSFERRING: _row(
        State.TRANSFERRING,
        State.ENDED,
        {
            Signal.TRANSFERRED: _TRANSFERRED,
            Signal.TRANSFER_REFUSED: Move(State.LIVE),  # or where the call was before: `CallState.signal` knows
            Signal.VOICEMAIL: Move(State.ENDED, Reason.VOICEMAIL, By.HOST),
            Signal.MEDIA_LOST: Move(State.TRANSFERRING),  # the carrier may end the stream first
            Signal.ENGINE_ENDED: Move(State.TRANSFERRING),  # the agent has said its last word
            Signal.ENGINE_FAILED: Move(State.TRANSFERRING),
            Signal.DEADLINE: Move(State.ENDED, Reason.CRASHED, By.HOST),  # `Actions` has given the call back before
        },
    ),
    State.ENDING: {  # the reason is known: these only say that there is nothing more to wait for
        **dict.fromkeys(Signal, Move(State.ENDING)),
        **dict.fromkeys(
            (
                Signal.PLAYED_OUT,
                Signal.CARRIER_HUNG_UP,
                Signal.MEDIA_STOPPED,
                Signal.MEDIA_LOST,
                Signal.MEDIA_UNUSABLE,
                Signal.DEADLINE,
                Signal.TOO_LONG,
                Signal.CRASHED,
            ),
            Move(State.ENDED),
        ),
    },
    State.ENDED: dict.fromkeys(Signal, Move(State.ENDED)),
}

_WAITS_FOR_MEDIA = frozenset({State.ACCEPTED, State.ENGINE_READY})
"""Where the media are awaited. Going from one to the other does not extend the wait."""
_OVER = frozenset({State.ENDING, State.ENDED})
_TRANSFER_MARGIN = 1.0  # s beyond a transfer's own limits, which give the call back before


class CallState:
    """Where one call is, why it ends, and until when it may stay. Sans-IO: `now` is a monotonic clock, in s."""

    def __init__(self, deadlines: Deadlines, now: float, *, ring_timeout: float | None = None) -> None:
        """`ring_timeout` (s) is that of an outbound call; None for an inbound one."""
        self.state = State.ACCEPTED if ring_timeout is None else State.DIALLING
        self.reason: Reason | None = None
        self.by: By | None = None
        self.detail = ""
        self.media_at: float | None = None
        """When the carrier's media first came."""
        self.before = 0.0  # s for which the call had media at other workers
        self.heard_at = now
        """When the carrier's socket last gave something; `MediaLeg` sets it."""
        self.blocked_at = math.inf
        """Since when the carrier's socket has not taken what we send; infinity if it takes it. `Downlink` sets it."""
        self._deadlines, self._ring_timeout = deadlines, ring_timeout or 0.0
        self._began = self.entered_at = self._waits_since = now  # the present state was entered
        self._before_transfer = State.LIVE

    def allows(self, signal: Signal) -> bool:
        """True if the state's row has that signal, and the call is not over."""
        return self.state not in _OVER and signal in TRANSITIONS[self.state]

    def signal(self, signal: Signal, now: float, *, detail: str = "") -> bool:
        """Moves. True if the state is another one now. `detail` is kept if this is what ends the call.

        Raises:
            IllegalTransition: the state has no row for this signal of our own.
        """
        move = TRANSITIONS[self.state].get(signal)
        if move is None:
            raise IllegalTransition(
                f"The state “{self.state.value}” has no transition for the signal “{signal.value}”.",
                remedy="Ask CallState.allows() first, or add a row to the table in patter_core.call.state.",
            )
        if move.reason is not None:
            self.reason, self.by, self.detail = move.reason, move.by, detail
        to = self._before_transfer if signal is Signal.TRANSFER_REFUSED and self.state not in _OVER else move.to
        if to is self.state:
            return False
        if signal is Signal.MEDIA_STARTED and self.media_at is None:
            self.media_at = now
        if to is State.TRANSFERRING:
            self._before_transfer = self.state
        if to in _WAITS_FOR_MEDIA and self.state not in _WAITS_FOR_MEDIA:
            self._waits_since = now
        self.blocked_at = math.inf
        self.state = to
        self.entered_at = self.heard_at = now
        return True

    def deadline(self) -> float:
        """Returns when the time is up, on the clock of `now`; infinity once ended."""
        return min(self._state_deadline(), math.inf if self.state in _OVER else self._longest())

    def _state_deadline(self) -> float:
        limits = self._deadlines
        match self.state:
            case State.DIALLING:
                return self.entered_at + self._ring_timeout + limits.answer
            case State.ACCEPTED | State.ENGINE_READY:
                return self._waits_since + (limits.media_start if self.media_at is None else limits.media_return)
            case State.MEDIA_READY:
                return self.entered_at + limits.engine_connect
            case State.LIVE:
                return min(self.heard_at, self.blocked_at) + limits.carrier_silence
            case State.TRANSFERRING:
                return self.entered_at + limits.last_word + limits.transfer + _TRANSFER_MARGIN
            case State.ENDING:
                return self.entered_at + limits.last_word
            case State.HELD | State.ENDED:
                return math.inf

    def overdue(self, now: float) -> Signal | None:
        """Returns the signal that is due because the state's time is up; None if it is not."""
        if now < self.deadline():
            return None
        if now >= self._longest() and self.state not in _OVER:
            return Signal.TOO_LONG
        if self.state is State.LIVE:  # a socket that gives or takes nothing is lost; the carrier may open another
            return Signal.MEDIA_LOST
        waits = self.state in _WAITS_FOR_MEDIA
        return Signal.MEDIA_TIMEOUT if waits and self.media_at is not None else Signal.DEADLINE

    def _longest(self) -> float:
        began = self._began if self.before or self.media_at is None else self.media_at
        return began - self.before + self._deadlines.longest_call
