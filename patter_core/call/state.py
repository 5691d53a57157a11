"""The life of a call as a table.

A call needs two things before anybody can talk: the carrier's media and the engine's conversation. They come in any
order, since the engine may be connected while the phone still rings:

    DIALLING ──answered──▶ ANNOUNCED ──media──▶ MEDIA ──engine──┐
                               └──────engine──▶ ENGINE ──media──┴─▶ LIVE ──▶ ENDING ──▶ ENDED

Only a call that we make is ever DIALLING. Media that breaks off takes a call back from MEDIA to ANNOUNCED and from
LIVE to ENGINE, where it waits for them a little while: the carrier may come back with a new socket. From LIVE a call
can also be HELD, from which it comes back by way of ENGINE, and be given away: LEAVING, which ends it if the carrier
does it, and else leads back.

From every state there is a way out, and each leads to ENDED: at once where nobody listens any more, through ENDING
where the last word is still being played. Every state has a deadline, so that a peer that says nothing moves a call
too. A signal that comes late, twice or out of place is no error: peers do that, and the table says what becomes of it.
A signal that is in no row is a fault of ours and raises.
"""

from __future__ import annotations

import enum
import math

import msgspec

from patter_core.call.timeouts import Deadlines
from patter_core.errors import IllegalTransition
from patter_core.telephony.outcome import By, Reason

__all__ = ["TRANSITIONS", "CallState", "Signal", "State"]


class State(enum.Enum):
    """Where a call is."""

    DIALLING = "dialling"
    """We had the call made, and nobody has answered yet."""
    ACCEPTED = "accepted"
    MEDIA_READY = "media ready"
    """The carrier's audio is here; the engine is still connecting."""
    ENGINE_READY = "engine ready"
    """The engine is ready; the carrier's audio has not come yet."""
    LIVE = "live"
    HELD = "held"
    """The caller hears what the carrier plays to him; the conversation waits."""
    TRANSFERRING = "transferring"
    """The carrier is giving the call to somebody else."""
    ENDING = "ending"
    """The last word is being played, within a bound."""
    ENDED = "ended"


class Signal(enum.Enum):
    """What moves a call."""

    ANSWERED = "answered"
    """A call that we made."""
    BUSY = "busy"
    NO_ANSWER = "no answer"
    CANCELED = "canceled"
    DIAL_FAILED = "dial failed"
    ANSWERED_ELSEWHERE = "answered elsewhere"
    """Another worker has the call that this one made."""
    MEDIA_STARTED = "media started"
    ENGINE_READY = "engine ready"
    CARRIER_HUNG_UP = "carrier hung up"
    """The carrier said that the call is over."""
    MEDIA_STOPPED = "media stopped"
    """The carrier ended the stream in good order."""
    MEDIA_LOST = "media lost"
    """The carrier's socket is gone, and nothing was said of the call."""
    MEDIA_UNUSABLE = "media unusable"
    """What the carrier streams is nothing that we can read, and would be no other next time."""
    ENGINE_ENDED = "engine ended"
    """The agent ended the conversation."""
    ENGINE_FAILED = "engine failed"
    """The engine cannot be had, or was lost."""
    HANG_UP = "hang up"
    """We end it: the host, or a user of ours."""
    ENGINE_RETRIED = "engine retried"
    """The engine failed, and another conversation is begun in its place."""
    HOLD = "hold"
    RESUME = "resume"
    TRANSFER = "transfer"
    """We give the call to somebody else."""
    TRANSFERRED = "transferred"
    """The carrier took that on."""
    TRANSFER_REFUSED = "transfer refused"
    """The carrier would not."""
    VOICEMAIL = "voicemail"
    """A machine takes our message: the carrier is saying it."""
    PLAYED_OUT = "played out"
    """The caller has heard the last word."""
    DEADLINE = "deadline"
    """The state's time is up."""
    MEDIA_TIMEOUT = "media timeout"
    """The state's time is up, and media had been there before."""
    TOO_LONG = "too long"
    """The call has lasted as long as a call may."""
    CRASHED = "crashed"
    """Our own code failed, or the worker is stopping at once."""


class Move(msgspec.Struct, frozen=True):
    """A row of the table: where to, and what to tell if this is what ends the call."""

    to: State
    reason: Reason | None = None
    by: By | None = None


_GONE = Move(State.ENDED, Reason.CALLER_HUNG_UP, By.CALLER)
_CRASH = Move(State.ENDED, Reason.CRASHED, By.HOST)
_NO_MEDIA = Move(State.ENDED, Reason.NO_MEDIA, By.CARRIER)
_MEDIA_LOST = Move(State.ENDED, Reason.MEDIA_LOST, By.CARRIER)
_TRANSFERRED = Move(State.ENDED, Reason.TRANSFERRED, By.HOST)
_VOICEMAIL = Move(State.ENDED, Reason.VOICEMAIL, By.HOST)
_UNANSWERED: dict[Signal, Move] = {
    Signal.BUSY: Move(State.ENDED, Reason.BUSY, By.CALLER),
    Signal.NO_ANSWER: Move(State.ENDED, Reason.NO_ANSWER, By.CALLER),
    Signal.CANCELED: Move(State.ENDED, Reason.CANCELED, By.HOST),
    Signal.DIAL_FAILED: Move(State.ENDED, Reason.DIAL_FAILED, By.CARRIER),
    Signal.ANSWERED_ELSEWHERE: Move(State.ENDED, Reason.ANSWERED_ELSEWHERE, By.HOST),
}


def _row(state: State, to: State, moves: dict[Signal, Move]) -> dict[Signal, Move]:
    """What becomes of every signal in a state: the ways out that all states share, and the rest without effect.

    Args:
        state: which one.
        to: where it leads when somebody has to be heard out: ENDING, if a last word may be on its way.
        moves: what is special here.
    """
    return {
        **dict.fromkeys(Signal, Move(state)),
        Signal.ENGINE_ENDED: Move(to, Reason.AGENT_HUNG_UP, By.AGENT),
        Signal.ENGINE_FAILED: Move(to, Reason.ENGINE_FAILED, By.ENGINE),
        Signal.HANG_UP: Move(to, Reason.HOST_HUNG_UP, By.HOST),
        Signal.TOO_LONG: Move(to, Reason.TOO_LONG, By.HOST),
        Signal.CARRIER_HUNG_UP: _GONE,
        Signal.MEDIA_UNUSABLE: Move(State.ENDED, Reason.MEDIA_UNUSABLE, By.CARRIER),
        Signal.VOICEMAIL: _VOICEMAIL,
        Signal.CRASHED: _CRASH,
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
            **_UNANSWERED,  # said after the answer: peers do that, and the call is over in any case
            Signal.MEDIA_STARTED: Move(State.MEDIA_READY),
            Signal.ENGINE_READY: Move(State.ENGINE_READY),
            Signal.TRANSFER: Move(State.TRANSFERRING),
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
            Signal.HOLD: Move(State.HELD),  # what should have ended the hold failed
            Signal.TRANSFER: Move(State.TRANSFERRING),
            Signal.DEADLINE: _NO_MEDIA,
            Signal.MEDIA_TIMEOUT: _MEDIA_LOST,
        },
    ),
    State.MEDIA_READY: _row(
        State.MEDIA_READY,
        State.ENDED,  # nothing has been said yet, so there is no last word to wait for
        {
            Signal.ENGINE_READY: Move(State.LIVE),
            Signal.MEDIA_STOPPED: _GONE,
            Signal.MEDIA_LOST: Move(State.ACCEPTED),
            Signal.TRANSFER: Move(State.TRANSFERRING),
            Signal.DEADLINE: Move(State.ENDED, Reason.ENGINE_SLOW, By.ENGINE),
        },
    ),
    State.LIVE: _row(
        State.LIVE,
        State.ENDING,
        {
            Signal.MEDIA_STOPPED: _GONE,
            Signal.MEDIA_LOST: Move(State.ENGINE_READY),
            Signal.ENGINE_RETRIED: Move(State.MEDIA_READY),
            Signal.HOLD: Move(State.HELD),
            Signal.TRANSFER: Move(State.TRANSFERRING),
            Signal.DEADLINE: Move(State.ENDED, Reason.SILENT_CARRIER, By.CARRIER),
        },
    ),
    State.HELD: _row(
        State.HELD,
        State.ENDED,
        {
            Signal.MEDIA_STARTED: Move(State.LIVE),
            Signal.RESUME: Move(State.ENGINE_READY),
            Signal.TRANSFER: Move(State.TRANSFERRING),
            Signal.DEADLINE: Move(State.ENDED, Reason.TOO_LONG, By.HOST),
        },
    ),
    State.TRANSFERRING: _row(
        State.TRANSFERRING,
        State.ENDED,
        {
            Signal.TRANSFERRED: _TRANSFERRED,
            Signal.TRANSFER_REFUSED: Move(State.LIVE),
            Signal.MEDIA_LOST: Move(State.TRANSFERRING),  # the carrier may do that first
            Signal.ENGINE_ENDED: Move(State.TRANSFERRING),  # the agent has said its last word
            Signal.ENGINE_FAILED: Move(State.TRANSFERRING),
            Signal.DEADLINE: _TRANSFERRED,
        },
    ),
    State.ENDING: {  # why it ends is already known: these only say that there is nothing more to wait for
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

_NO_MEDIA_YET = frozenset({State.ACCEPTED, State.ENGINE_READY})
"""Where the carrier's audio is waited for. Going from one to the other is no reason to wait longer."""
_OVER = frozenset({State.ENDING, State.ENDED})


class CallState:
    """Where one call is, why it ends, and until when it may stay. Sans-IO: `now` is a monotonic clock, in s."""

    def __init__(self, deadlines: Deadlines, now: float, *, ring_timeout: float | None = None) -> None:
        """`ring_timeout` (s) is that of a call which we make; None for one that comes in."""
        self.state = State.ACCEPTED if ring_timeout is None else State.DIALLING
        self.reason: Reason | None = None
        self.by: By | None = None
        self.detail = ""
        self.media_at: float | None = None
        """When the carrier's audio first came."""
        self.heard_at = now
        """When the carrier's socket last gave something; the bridge sets it."""
        self.blocked_at = math.inf
        """Since when the carrier's socket has not taken what we send; infinity if it takes it. The bridge sets it."""
        self._deadlines = deadlines
        self._ring_timeout = ring_timeout or 0.0
        self._began = self._entered = self._waits_since = now

    def signal(self, signal: Signal, now: float, *, detail: str = "") -> bool:
        """Move. True if the state is another one now. `detail` is kept if this is what ends the call.

        Raises:
            IllegalTransition: the table has no such row.
        """
        move = TRANSITIONS[self.state].get(signal)
        if move is None:
            raise IllegalTransition(
                f"A call that is {self.state.value} knows no signal “{signal.value}”.",
                remedy="The table in patter_core.call.state must have a row for it.",
            )
        if move.reason is not None:
            self.reason, self.by, self.detail = move.reason, move.by, detail
        if move.to is self.state:
            return False
        if signal is Signal.MEDIA_STARTED and self.media_at is None:
            self.media_at = now
        self.blocked_at = math.inf
        if move.to in _NO_MEDIA_YET and self.state not in _NO_MEDIA_YET:
            self._waits_since = now
        self.state = move.to
        self._entered = self.heard_at = now
        return True

    def deadline(self) -> float:
        """When the time is up, on the clock of `now`; infinity once ended."""
        due = self._state_deadline()
        return due if self.state in _OVER else min(due, self._longest())

    def _state_deadline(self) -> float:
        limits = self._deadlines
        match self.state:
            case State.DIALLING:
                return self._entered + self._ring_timeout + limits.answer
            case State.ACCEPTED | State.ENGINE_READY:
                return self._waits_since + (limits.media_start if self.media_at is None else limits.media_return)
            case State.MEDIA_READY:
                return self._entered + limits.engine_connect
            case State.LIVE:
                return min(self.heard_at, self.blocked_at) + limits.carrier_silence
            case State.TRANSFERRING:
                return self._entered + limits.transfer
            case State.ENDING:
                return self._entered + limits.last_word
            case State.HELD | State.ENDED:
                return math.inf

    def expire(self, now: float) -> bool:
        """Move if the state's time is up. True if the state is another one now."""
        if now < self.deadline():
            return False
        return self.signal(self._overdue(now), now)

    def _overdue(self, now: float) -> Signal:
        if self.state not in _OVER and now >= self._longest():
            return Signal.TOO_LONG
        waits_again = self.state in _NO_MEDIA_YET and self.media_at is not None
        return Signal.MEDIA_TIMEOUT if waits_again else Signal.DEADLINE

    def _longest(self) -> float:
        return (self._began if self.media_at is None else self.media_at) + self._deadlines.longest_call
