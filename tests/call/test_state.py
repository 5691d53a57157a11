"""The state table: every way out leads to the end, and no order of signals leaves a call in limbo."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from patter_core.call.state import OWN_SIGNALS, TRANSITIONS, CallState, Signal, State
from patter_core.call.timeouts import Deadlines
from patter_core.errors import IllegalTransition
from patter_core.telephony.outcome import By, Reason

DEADLINES = Deadlines(media_start=30, engine_connect=10, carrier_silence=10, last_word=15, longest_call=100)


def live_call() -> CallState:
    call = CallState(DEADLINES, now=0)
    call.signal(Signal.MEDIA_STARTED, 1)
    call.signal(Signal.ENGINE_READY, 2)
    return call


def expire(call: CallState, now: float) -> bool:
    """Gives the signal that is due, if one is. True if the state is another one then."""
    signal = call.overdue(now)
    return signal is not None and call.signal(signal, now)


def send(call: CallState, signal: Signal, now: float) -> bool:
    """Signals, unless it is one of our own that makes no sense now: then it must raise and change nothing."""
    over = call.state in {State.ENDING, State.ENDED}
    if over or signal not in OWN_SIGNALS or call.allows(signal):
        return call.signal(signal, now)
    before = (call.state, call.reason, call.deadline())
    with pytest.raises(IllegalTransition, match=signal.value):
        call.signal(signal, now)
    assert (call.state, call.reason, call.deadline()) == before
    return False


def test_every_state_has_a_row_for_every_signal_of_a_peer() -> None:
    for rows in TRANSITIONS.values():
        assert set(Signal) - OWN_SIGNALS <= set(rows)


@pytest.mark.parametrize(
    ("signal", "states"),
    [
        (Signal.HOLD, {State.LIVE, State.ENGINE_READY, State.ACCEPTED}),
        (Signal.RESUME, {State.HELD}),
        (Signal.TRANSFER, {State.ACCEPTED, State.MEDIA_READY, State.ENGINE_READY, State.LIVE, State.HELD}),
        (Signal.TRANSFERRED, {State.TRANSFERRING}),
        (Signal.TRANSFER_REFUSED, {State.TRANSFERRING}),
        (Signal.VOICEMAIL, {State.TRANSFERRING}),
    ],
)
def test_our_own_signals_have_a_row_only_where_they_make_sense_and_when_all_is_over(
    signal: Signal, states: set[State]
) -> None:
    assert {state for state, rows in TRANSITIONS.items() if signal in rows} == states | {State.ENDING, State.ENDED}
    for state in State:
        call = CallState(DEADLINES, now=0)
        call.state = state
        assert call.allows(signal) is (state in states)


@pytest.mark.parametrize(
    ("signals", "before"),
    [
        ([], State.ACCEPTED),
        ([Signal.MEDIA_STARTED], State.MEDIA_READY),
        ([Signal.ENGINE_READY], State.ENGINE_READY),
        ([Signal.MEDIA_STARTED, Signal.ENGINE_READY], State.LIVE),
        ([Signal.MEDIA_STARTED, Signal.ENGINE_READY, Signal.HOLD], State.HELD),
    ],
)
def test_a_refused_transfer_leads_back_to_the_state_before(signals: list[Signal], before: State) -> None:
    call = CallState(DEADLINES, now=0)
    for signal in [*signals, Signal.TRANSFER]:
        call.signal(signal, 1)
    assert call.state is State.TRANSFERRING
    call.signal(Signal.TRANSFER_REFUSED, 2)
    assert call.state is before


def test_the_table_is_what_signal_obeys() -> None:
    for state, rows in TRANSITIONS.items():
        for signal, move in rows.items():
            call = CallState(DEADLINES, now=0)
            call.state = state
            to = State.LIVE if signal is Signal.TRANSFER_REFUSED and state is State.TRANSFERRING else move.to
            assert call.signal(signal, 1) is (to is not state)
            assert call.state is to


@pytest.mark.parametrize(
    ("first", "second", "between"),
    [
        (Signal.MEDIA_STARTED, Signal.ENGINE_READY, State.MEDIA_READY),
        (Signal.ENGINE_READY, Signal.MEDIA_STARTED, State.ENGINE_READY),
    ],
)
def test_media_and_engine_come_in_any_order(first: Signal, second: Signal, between: State) -> None:
    call = CallState(DEADLINES, now=0)
    call.signal(first, 1)
    assert call.state is between
    call.signal(second, 2)
    assert call.state is State.LIVE
    assert call.media_at == (1 if first is Signal.MEDIA_STARTED else 2)


@given(st.lists(st.sampled_from(Signal)))
def test_any_order_of_signals_leads_to_one_end_that_says_why(signals: list[Signal]) -> None:
    call = CallState(DEADLINES, now=0)
    ends = 0
    for now, signal in enumerate(signals):
        moved = send(call, signal, float(now))
        ends += moved and call.state is State.ENDED
    for _ in State:  # silence of all peers: the deadlines alone must end it, in as many steps as there are states
        if not math.isinf(call.deadline()):
            moved = expire(call, call.deadline())
            ends += moved and call.state is State.ENDED
    assert call.state is State.ENDED
    assert ends == 1
    assert call.reason is not None
    assert call.by is not None
    assert math.isinf(call.deadline())


@given(st.lists(st.sampled_from(Signal)))
def test_what_ended_a_call_is_told_and_not_what_came_after(signals: list[Signal]) -> None:
    call = live_call()
    call.signal(Signal.ENGINE_ENDED, 3, detail="goodbye")
    for signal in signals:
        call.signal(signal, 4, detail="too late")
    assert (call.reason, call.by, call.detail) == (Reason.AGENT_HUNG_UP, By.AGENT, "goodbye")


LIVELY = (
    Signal.ANSWERED,
    Signal.MEDIA_STARTED,
    Signal.MEDIA_LOST,
    Signal.ENGINE_READY,
    Signal.ENGINE_RETRIED,
    Signal.HOLD,
    Signal.RESUME,
    Signal.TRANSFER,
    Signal.TRANSFER_REFUSED,
)
"""The signals that lead on. Most others end a call, and with them alone a life would be short and dull."""
Step = tuple[float, Signal | str]
"""Seconds that pass, and what happens then: a signal, or something on the media socket."""
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.floats(0, 12),
        st.one_of(
            st.sampled_from(LIVELY),
            st.sampled_from(LIVELY),
            st.sampled_from(["heard", "blocked", "taken"]),
            st.sampled_from(Signal),
        ),
    ),
    max_size=40,
)
LIMITS = (30, 30, 8, 10, 10, 15, 30, 100)
"""All of `DEADLINES`."""


class Life:
    """A call whose deadlines are watched, as `Call` watches them, while anything happens to it."""

    def __init__(self, ring_timeout: float | None) -> None:
        self.call = CallState(DEADLINES, now=0, ring_timeout=ring_timeout)
        self.now = 0.0
        self.ends = 0
        self.ended_at = math.inf

    def step(self, seconds: float, what: Signal | str) -> None:
        self.pass_to(self.now + seconds)
        match what:
            case Signal():
                self.count(send(self.call, what, self.now))
            case "heard":
                self.call.heard_at = self.now
            case "blocked":
                self.call.blocked_at = min(self.call.blocked_at, self.now)
            case _:
                self.call.blocked_at = math.inf

    def pass_to(self, time: float) -> None:
        while (due := max(self.now, self.call.deadline())) <= time and not math.isinf(due):
            self.now = due
            moved = expire(self.call, due)
            assert moved  # a deadline that moves nothing would be limbo
            self.count(moved)
        self.now = time

    def count(self, moved: bool) -> None:
        if moved and self.call.state is State.ENDED:
            self.ends += 1
            self.ended_at = self.now


@settings(max_examples=500)
@given(STEPS, st.sampled_from([None, 20.0]))
def test_whatever_happens_and_whenever_a_call_ends_once_and_in_bounded_time(
    steps: list[Step], ring_timeout: float | None
) -> None:
    life = Life(ring_timeout)
    for seconds, what in steps:
        told = life.call.reason, life.call.by
        over = life.call.state in {State.ENDING, State.ENDED}
        life.step(seconds, what)
        if over:
            assert (life.call.reason, life.call.by) == told
    life.pass_to(life.now + sum(LIMITS))  # nobody says anything any more
    assert (life.call.state, life.ends) == (State.ENDED, 1)
    assert life.call.reason is not None
    assert life.call.by is not None
    # All that it may take before the media are there, the longest call, and the last word.
    assert life.ended_at <= 20 + 30 + 100 + 15


@given(st.lists(st.sampled_from(LIVELY), min_size=2, max_size=4))
@example([Signal.ENGINE_READY, Signal.ENGINE_RETRIED])
@example([Signal.MEDIA_STARTED, Signal.MEDIA_LOST])
@example([Signal.MEDIA_STARTED, Signal.TRANSFER, Signal.TRANSFER_REFUSED])
def test_no_round_of_signals_keeps_a_call_beyond_the_longest(signals: list[Signal]) -> None:
    life = Life(None)
    while life.now < 200:  # so often that no deadline of a single state is ever due
        for signal in signals:
            life.step(0.5, "heard")
            life.step(0.5, signal)
    assert life.ends == 1
    assert life.ended_at <= 30 + 100 + 15 + 1


def test_each_state_has_its_own_deadline() -> None:
    call = CallState(DEADLINES, now=0)
    assert call.deadline() == 30
    call.signal(Signal.MEDIA_STARTED, 5)
    assert call.deadline() == 15
    call.signal(Signal.ENGINE_READY, 6)
    assert call.deadline() == 16
    call.heard_at = 50
    assert call.deadline() == 60
    call.signal(Signal.HANG_UP, 51)
    assert call.deadline() == 66


def test_an_engine_that_is_ready_early_does_not_have_the_media_waited_for_longer() -> None:
    call = CallState(DEADLINES, now=0)
    call.signal(Signal.ENGINE_READY, 20)
    assert (call.state, call.deadline()) == (State.ENGINE_READY, 30)


def test_before_the_deadline_nothing_moves() -> None:
    call = CallState(DEADLINES, now=0)
    assert not expire(call, 29.9)
    assert expire(call, 30)
    assert (call.state, call.reason, call.by) == (State.ENDED, Reason.NO_MEDIA, By.CARRIER)


def test_an_engine_that_is_never_ready_ends_the_call() -> None:
    call = CallState(DEADLINES, now=0)
    call.signal(Signal.MEDIA_STARTED, 1)
    assert expire(call, 11)
    assert call.reason is Reason.ENGINE_SLOW


def test_the_media_of_a_carrier_that_gives_nothing_are_lost() -> None:
    call = live_call()
    assert call.overdue(11.9) is None
    assert call.overdue(12) is Signal.MEDIA_LOST
    assert expire(call, 12)
    assert call.state is State.ENGINE_READY


def test_so_are_those_of_one_that_takes_nothing_even_if_it_talks() -> None:
    call = live_call()
    call.blocked_at = 3
    call.heard_at = 13
    assert call.overdue(13) is Signal.MEDIA_LOST


def test_the_longest_call_ends_with_its_last_word_played() -> None:
    call = live_call()
    call.heard_at = 101
    assert expire(call, 101)
    assert (call.state, call.reason, call.by) == (State.ENDING, Reason.TOO_LONG, By.HOST)
    call.signal(Signal.PLAYED_OUT, 102)
    assert call.state is State.ENDED


def test_what_a_call_lasted_elsewhere_counts() -> None:
    call = CallState(DEADLINES, now=0)
    call.before = 40
    call.signal(Signal.MEDIA_STARTED, 20)
    call.signal(Signal.ENGINE_READY, 20)
    call.heard_at = 60
    assert call.overdue(59.9) is None
    assert call.overdue(60) is Signal.TOO_LONG


def test_media_that_were_there_are_waited_for_less_long_and_missed_for_another_reason() -> None:
    call = CallState(Deadlines(media_start=30, media_return=8), now=0)
    call.signal(Signal.MEDIA_STARTED, 1)
    call.signal(Signal.ENGINE_READY, 2)
    call.signal(Signal.MEDIA_LOST, 3)
    assert (call.state, call.deadline()) == (State.ENGINE_READY, 11)
    assert expire(call, 11)
    assert (call.state, call.reason, call.by, call.media_at) == (State.ENDED, Reason.MEDIA_LOST, By.CARRIER, 1)


def test_a_call_that_we_make_rings_as_long_as_it_may_and_then_some() -> None:
    call = CallState(Deadlines(answer=10), now=0, ring_timeout=20)
    assert (call.state, call.deadline()) == (State.DIALLING, 30)
    assert expire(call, 30)
    assert (call.reason, call.by) == (Reason.NO_ANSWER, By.CARRIER)


@pytest.mark.parametrize("noise", [Signal.MEDIA_STOPPED, Signal.MEDIA_LOST, Signal.ENGINE_ENDED])
def test_a_call_that_leaves_is_not_ended_by_what_comes_with_leaving(noise: Signal) -> None:
    call = live_call()
    call.signal(Signal.TRANSFER, 3)
    call.signal(noise, 4)
    call.signal(Signal.TRANSFERRED, 5)
    assert (call.state, call.reason) == (State.ENDED, Reason.TRANSFERRED)


def test_hold_ends_by_way_of_waiting_for_the_media() -> None:
    call = live_call()
    for signal, state in (
        (Signal.HOLD, State.HELD),
        (Signal.MEDIA_STOPPED, State.HELD),
        (Signal.RESUME, State.ENGINE_READY),
        (Signal.MEDIA_STARTED, State.LIVE),
    ):
        call.signal(signal, 3)
        assert call.state is state
