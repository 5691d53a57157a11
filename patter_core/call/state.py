"""The life of a call as a table.

A call needs two things before anybody can talk: the carrier's media and the engine's conversation. They come in any
order, since the engine may be connected while the phone still rings:

    ANNOUNCED ──media──▶ MEDIA ──engine──┐
        └──────engine──▶ ENGINE ──media──┴─▶ LIVE ──▶ ENDING ──▶ ENDED

From every state there is a way out, and each leads to ENDED: at once where nobody listens any more, through ENDING
where the last word is still being played. Every state has a deadline, so that a peer that says nothing moves a call
too. A signal that comes late, twice or out of place is no error: peers do that, and the table says what becomes of it.
A signal that is in no row is a fault of ours and raises.
"""

from __future__ import annotations

import enum
import math

import msgspec

from patter_core.errors import IllegalTransition

__all__ = ["TRANSITIONS", "By", "CallState", "Deadlines", "Reason", "Signal", "State"]


class State(enum.Enum):
    """Where a call is."""

    ANNOUNCED = "announced"
    MEDIA = "media"
    """The carrier's audio is here; the engine is still connecting."""
    ENGINE = "engine"
    """The engine is ready; the carrier's audio has not come yet."""
    LIVE = "live"
    ENDING = "ending"
    """The last word is being played, within a bound."""
    ENDED = "ended"


class Signal(enum.Enum):
    """What moves a call."""

    MEDIA_STARTED = "media started"
    ENGINE_READY = "engine ready"
    CALLER_GONE = "caller gone"
    """The carrier stopped the stream, or said that the call is over."""
    MEDIA_LOST = "media lost"
    """The carrier's socket is gone, and nothing was said of the call."""
    ENGINE_ENDED = "engine ended"
    """The agent ended the conversation."""
    ENGINE_FAILED = "engine failed"
    """The engine cannot be had, or was lost."""
    HANG_UP = "hang up"
    """We end it: the host, or a user of ours."""
    PLAYED_OUT = "played out"
    """The caller has heard the last word."""
    DEADLINE = "deadline"
    """The state's time is up."""
    TOO_LONG = "too long"
    """The call has lasted as long as a call may."""
    CRASHED = "crashed"
    """Our own code failed, or the worker is stopping at once."""


class Reason(enum.StrEnum):
    """Why a call ended, as told in `CallEnded.reason`."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    HOST_HUNG_UP = "host_hung_up"
    ENGINE_FAILED = "engine_failed"
    NO_MEDIA = "no_media"
    """The carrier announced the call and never brought its audio."""
    ENGINE_SLOW = "engine_slow"
    """The engine was not ready in time."""
    MEDIA_LOST = "media_lost"
    """The carrier's socket broke off."""
    SILENT_CARRIER = "silent_carrier"
    """The carrier's socket is open but dead: nothing came, or nothing was taken."""
    TOO_LONG = "too_long"
    """The longest call that is allowed."""
    CRASHED = "crashed"


class By(enum.StrEnum):
    """Who ended a call, as told in `CallEnded.by`."""

    CALLER = "caller"
    AGENT = "agent"
    ENGINE = "engine"
    CARRIER = "carrier"
    HOST = "host"


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """How long a call may stay where it is, in s."""

    media_start: float = 30.0
    """From the announcement to the carrier's audio."""
    engine_connect: float = 10.0
    """From the carrier's audio to a ready engine."""
    carrier_silence: float = 10.0
    """Without a message from the carrier while live; frames come every 20 ms, in silence too."""
    last_word: float = 15.0
    """For the last word to be played, when the agent or the host ends the call."""
    longest_call: float = 4 * 3600.0
    """From the carrier's audio to the end."""


class Move(msgspec.Struct, frozen=True):
    """A row of the table: where to, and what to tell if this is what ends the call."""

    to: State
    reason: Reason | None = None
    by: By | None = None


_GONE = Move(State.ENDED, Reason.CALLER_HUNG_UP, By.CALLER)
_CRASH = Move(State.ENDED, Reason.CRASHED, By.HOST)
_NO_MEDIA = Move(State.ENDED, Reason.NO_MEDIA, By.CARRIER)


def _ending(to: State) -> dict[Signal, Move]:
    """The rows that every state before the end shares: what may end the call, and where that leads."""
    return {
        Signal.ENGINE_ENDED: Move(to, Reason.AGENT_HUNG_UP, By.AGENT),
        Signal.ENGINE_FAILED: Move(to, Reason.ENGINE_FAILED, By.ENGINE),
        Signal.HANG_UP: Move(to, Reason.HOST_HUNG_UP, By.HOST),
        Signal.TOO_LONG: Move(to, Reason.TOO_LONG, By.HOST),
        Signal.CALLER_GONE: _GONE,
        Signal.MEDIA_LOST: Move(State.ENDED, Reason.MEDIA_LOST, By.CARRIER),
        Signal.CRASHED: _CRASH,
    }


def _ignored(state: State, *signals: Signal) -> dict[Signal, Move]:
    """The rows of signals that come late or twice."""
    return dict.fromkeys(signals, Move(state))


TRANSITIONS: dict[State, dict[Signal, Move]] = {
    State.ANNOUNCED: {
        **_ending(State.ENDED),
        Signal.MEDIA_STARTED: Move(State.MEDIA),
        Signal.ENGINE_READY: Move(State.ENGINE),
        Signal.DEADLINE: _NO_MEDIA,
        **_ignored(State.ANNOUNCED, Signal.PLAYED_OUT),
    },
    State.ENGINE: {
        **_ending(State.ENDED),
        Signal.MEDIA_STARTED: Move(State.LIVE),
        Signal.DEADLINE: _NO_MEDIA,
        **_ignored(State.ENGINE, Signal.ENGINE_READY, Signal.PLAYED_OUT),
    },
    State.MEDIA: {
        **_ending(State.ENDED),  # nothing has been said yet, so there is no last word to wait for
        Signal.ENGINE_READY: Move(State.LIVE),
        Signal.DEADLINE: Move(State.ENDED, Reason.ENGINE_SLOW, By.ENGINE),
        **_ignored(State.MEDIA, Signal.MEDIA_STARTED, Signal.PLAYED_OUT),
    },
    State.LIVE: {
        **_ending(State.ENDING),
        Signal.DEADLINE: Move(State.ENDED, Reason.SILENT_CARRIER, By.CARRIER),
        **_ignored(State.LIVE, Signal.MEDIA_STARTED, Signal.ENGINE_READY, Signal.PLAYED_OUT),
    },
    State.ENDING: {  # why it ends is already known: these only say that there is nothing more to wait for
        **dict.fromkeys(
            (
                Signal.PLAYED_OUT,
                Signal.CALLER_GONE,
                Signal.MEDIA_LOST,
                Signal.DEADLINE,
                Signal.TOO_LONG,
                Signal.CRASHED,
            ),
            Move(State.ENDED),
        ),
        **_ignored(
            State.ENDING,
            Signal.MEDIA_STARTED,
            Signal.ENGINE_READY,
            Signal.ENGINE_ENDED,
            Signal.ENGINE_FAILED,
            Signal.HANG_UP,
        ),
    },
    State.ENDED: _ignored(State.ENDED, *Signal),
}


class CallState:
    """Where one call is, why it ends, and until when it may stay. Sans-IO: `now` is a monotonic clock, in s."""

    def __init__(self, deadlines: Deadlines, now: float) -> None:
        self.state = State.ANNOUNCED
        self.reason: Reason | None = None
        self.by: By | None = None
        self.detail = ""
        self.media_at: float | None = None
        """When the carrier's audio came."""
        self.heard_at = now
        """When the carrier's socket last gave something; the bridge sets it."""
        self.blocked_at = math.inf
        """Since when the carrier's socket has not taken what we send; infinity if it takes it. The bridge sets it."""
        self._deadlines = deadlines
        self._entered = now

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
        if signal is Signal.MEDIA_STARTED:
            self.media_at = now
        self.state = move.to
        self._entered = self.heard_at = now
        return True

    def deadline(self) -> float:
        """When this state's time is up, on the clock of `now`; infinity once ended."""
        limits = self._deadlines
        match self.state:
            case State.ANNOUNCED | State.ENGINE:
                return self._entered + limits.media_start
            case State.MEDIA:
                return self._entered + limits.engine_connect
            case State.LIVE:
                return min(min(self.heard_at, self.blocked_at) + limits.carrier_silence, self._longest())
            case State.ENDING:
                return self._entered + limits.last_word
            case State.ENDED:
                return math.inf

    def expire(self, now: float) -> bool:
        """Move if the state's time is up. True if the state is another one now."""
        if now < self.deadline():
            return False
        late = self.state is State.LIVE and now >= self._longest()
        return self.signal(Signal.TOO_LONG if late else Signal.DEADLINE, now)

    def _longest(self) -> float:
        return (self._entered if self.media_at is None else self.media_at) + self._deadlines.longest_call
