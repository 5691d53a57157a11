"""Heard is what marks tell, and after a clear what the clock tells; a mark of before a clear says nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_core.call.playback import MARK_EVERY_MS, Playback
from patter_core.events import ResponseHeard


def test_a_mark_follows_each_half_second_and_each_turn() -> None:
    playback = Playback()
    marks = [playback.sent(20, now=0) for _ in range(60)]
    assert [index for index, mark in enumerate(marks) if mark] == [24, 49]
    assert playback.turn_ended() is not None


def test_the_agent_speaks_until_the_last_mark_is_back() -> None:
    playback = Playback()
    first = playback.sent(600, now=0)
    last_sent = playback.sent(100, now=0)
    last = playback.turn_ended()
    assert first is not None
    assert last_sent is None
    assert last is not None
    playback.returned(first)
    assert playback.speaking
    assert playback.returned(last) == ResponseHeard(heard_ms=700, sent_ms=700)
    assert not playback.speaking


def test_a_turn_without_audio_needs_no_mark() -> None:
    playback = Playback()
    assert playback.turn_ended() is None
    playback.sent(20, now=0)
    assert playback.turn_ended() is not None
    assert playback.turn_ended() is None


def test_turns_are_counted_apart() -> None:
    playback = Playback()
    playback.sent(300, now=0)
    first = playback.turn_ended()
    playback.sent(200, now=0)
    second = playback.turn_ended()
    assert first is not None
    assert second is not None
    assert playback.returned(first) == ResponseHeard(heard_ms=300, sent_ms=300)
    assert playback.returned(second) == ResponseHeard(heard_ms=200, sent_ms=200)


def test_a_clear_voids_what_was_not_played_yet() -> None:
    playback = Playback()
    playback.sent(3000, now=10)
    assert playback.cleared(now=11) == ResponseHeard(heard_ms=1000, sent_ms=3000, interrupted=True)
    assert not playback.speaking
    assert playback.cleared(now=12) is None


def test_marks_that_a_clear_brings_back_do_not_mean_heard() -> None:
    playback = Playback()
    mark = playback.sent(3000, now=0)
    assert mark is not None
    playback.cleared(now=1)
    before = playback.heard_ms
    assert playback.returned(mark) is None
    assert playback.heard_ms == before


def test_the_clock_never_takes_back_what_a_mark_has_told() -> None:
    playback = Playback()
    mark = playback.sent(2000, now=0)
    assert mark is not None
    playback.returned(mark)
    assert playback.cleared(now=0.1) is None
    assert playback.heard_ms == 2000


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("sent"), st.integers(1, 3000)),
            st.tuples(st.just("turn"), st.just(0)),
            st.tuples(st.just("clear"), st.just(0)),
            st.tuples(st.just("back"), st.integers(0, 30)),
            st.tuples(st.just("wait"), st.integers(0, 5000)),
        )
    )
)
def test_heard_only_grows_and_never_passes_what_was_sent(steps: list[tuple[str, int]]) -> None:
    playback = Playback()
    now, marks, heard = 0.0, list[str](), 0.0
    for step, value in steps:
        mark = None
        match step:
            case "sent":
                mark = playback.sent(float(value), now)
            case "turn":
                mark = playback.turn_ended()
            case "clear":
                playback.cleared(now)
            case "back":
                playback.returned(marks[value] if value < len(marks) else "nobody's")
            case "wait":
                now += value / 1000
        if mark is not None:
            marks.append(mark)
        assert heard <= playback.heard_ms + 1e-6
        assert playback.heard_ms <= playback.sent_ms + 1e-6
        heard = playback.heard_ms
    assert len(marks) == len(set(marks))


def test_no_more_than_half_a_second_is_ever_without_a_mark_in_a_turn() -> None:
    playback = Playback()
    unmarked = 0.0
    for duration in (20, 499, 1, 700, 480, 19, 1):
        unmarked += duration
        if playback.sent(duration, now=0):
            unmarked = 0.0
        assert unmarked < MARK_EVERY_MS


def test_audio_that_comes_after_a_gap_within_its_turn_is_late_and_a_new_turn_is_not() -> None:
    playback = Playback()
    playback.sent(100, now=0)
    playback.sent(100, now=0.05)  # in time
    playback.sent(100, now=0.3)  # the caller heard nothing for 100 ms
    assert playback.late == 1
    playback.turn_ended()
    playback.sent(100, now=9)
    assert playback.late == 1


def test_no_mark_is_due_while_audio_is_held_back_and_the_next_one_covers_it() -> None:
    playback = Playback()
    assert playback.sent(MARK_EVERY_MS, 0.0, held=True) is None
    mark = playback.sent(1.0, 0.0)
    assert mark is not None
    playback.returned(mark)
    assert playback.heard_ms == MARK_EVERY_MS + 1.0
