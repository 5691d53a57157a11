"""Heard is what marks and a clock tell, by turn and item; wrong marks are found, and old ones say nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000
from patter_core.call.playback import Playback
from patter_core.call.turns import TurnHeard
from patter_core.engine import Heard, HeardItem

MS = 8
"""Bytes a millisecond."""


class Player:
    """A playback, and the audio and marks that a carrier without limits gets at once."""

    def __init__(self) -> None:
        self.now = 100.0
        self.playback = Playback(ULAW_8000)
        self.marks: list[str] = []

    def say(self, duration_ms: int) -> None:
        if not self.playback.is_open:
            self.playback.begin_turn("")
        self.playback.accepted += duration_ms * MS
        if self.playback.send(duration_ms * MS, self.now):
            self.mark()

    def mark(self) -> None:
        if self.playback.has_marks:
            self.marks.append(self.playback.mark(self.now))

    def end_turn(self) -> None:
        if self.playback.end_turn():
            self.mark()

    def turn(self, duration_ms: int, name: str = "") -> None:
        self.playback.begin_turn(name)
        self.say(duration_ms)
        self.end_turn()

    def back(self, number: int) -> bool:
        """The mark of that number comes back."""
        return self.playback.returned(self.marks[number], self.now)

    @property
    def heard_ms(self) -> float:
        return round(self.playback.heard_ms(self.now), 3)

    def audible(self) -> bool:
        return self.playback.is_audible(self.now)

    def settled(self) -> list[Heard]:
        return [told.heard for told in self.playback.settle(self.now)]

    def act(self, step: str, value: int, name: str) -> list[Heard]:
        """One of the steps of which any sequence is possible."""
        playback = self.playback
        nothing_waits = playback.accepted == playback.sent
        match step:
            case "say" if nothing_waits:
                self.say(value)
            case "keep":
                if not playback.is_open:
                    playback.begin_turn(name)
                playback.accepted += value * MS
            case "end" if nothing_waits:
                self.end_turn()
            case "cut":
                return self.cut(pause=bool(value))
            case "item":
                return [told.heard for told in playback.begin_item(f"item {value}", name, 0)]
            case "back" if value < len(self.marks):
                self.back(value)
            case "clock":
                playback.reckon_by_clock()
            case _:
                self.now += value / 1000
        return []

    def cut(self, *, pause: bool = False) -> list[Heard]:
        return [told.heard for told in self.playback.cut(self.now, pause=pause)]


def heard(heard_ms: float, sent_ms: float, turn: str = "", *, interrupted: bool = False) -> Heard:
    """Of a turn without items."""
    return Heard(turn=turn, items=(HeardItem(item="", heard_ms=heard_ms, sent_ms=sent_ms),), interrupted=interrupted)


# --- by marks and clock ----------------------------------------------------------------------------------------------


def test_a_mark_follows_each_half_second_and_each_turn() -> None:
    player = Player()
    for _ in range(60):
        player.say(20)
    assert len(player.marks) == 2
    player.end_turn()
    assert len(player.marks) == 3


def test_between_two_marks_a_clock_reckons_and_never_beyond_the_next_mark() -> None:
    player = Player()
    for _ in range(4):
        player.say(500)
    player.now += 0.4
    assert player.heard_ms == 400  # before the first mark, since it was sent
    player.now += 0.3
    assert player.heard_ms == 500  # the mark at 500 ms is still out: the carrier stalls
    player.back(0)
    player.now += 0.1
    assert player.heard_ms == 600
    player.now += 1
    assert player.heard_ms == 1_000


def test_the_agent_is_audible_until_the_last_mark_is_back() -> None:
    player = Player()
    player.say(500)
    player.say(200)
    player.end_turn()
    player.now += 0.7
    player.back(0)
    assert player.heard_ms == 500
    player.now += 0.25
    assert player.heard_ms == 700
    assert player.audible()
    assert player.settled() == []
    player.back(1)
    assert not player.audible()
    assert player.settled() == [heard(700, 700)]


def test_audio_that_follows_silence_is_not_heard_before_it_was_sent() -> None:
    player = Player()
    player.turn(100)
    player.now += 0.1
    player.back(0)
    player.now += 60
    player.say(300)
    assert player.heard_ms == 100
    player.now += 0.2
    assert player.heard_ms == 300


def test_a_carrier_without_marks_has_a_clock() -> None:
    player = Player()
    player.playback.reckon_by_clock()
    player.turn(400, "one")
    player.turn(200, "two")
    assert player.playback.settles_at == pytest.approx(100.7)
    player.now += 0.4
    assert player.heard_ms == 400
    assert player.settled() == []  # it may be on its way to the caller
    player.now += 0.3
    assert player.settled() == [heard(400, 400, "one")]
    assert player.audible()
    player.now = player.playback.settles_at
    assert player.settled() == [heard(200, 200, "two")]
    assert not player.audible()


# --- wrong marks -----------------------------------------------------------------------------------------------------


def test_a_mark_that_comes_before_its_audio_can_have_been_played_is_a_fault() -> None:
    player = Player()
    player.say(2_000)
    player.now += 0.5
    assert not player.back(0)
    assert player.heard_ms == 500  # by the clock, from now on
    player.now += 1.5
    assert player.heard_ms == 2_000
    assert player.audible()  # it may be on its way to the caller
    player.now += 0.3
    assert not player.audible()


def test_one_that_stays_out_is_overdue_two_seconds_later_counted_from_the_one_before() -> None:
    player = Player()
    player.say(500)
    player.say(500)
    assert player.playback.overdue_at == 102.5
    player.now += 1.5  # the carrier has stalled for a second
    player.back(0)
    assert player.playback.overdue_at == 104
    player.now += 0.5
    player.back(1)
    assert player.playback.overdue_at == float("inf")


def test_a_mark_that_nobody_set_or_that_came_before_means_nothing() -> None:
    player = Player()
    player.say(500)
    player.now += 0.5
    assert player.playback.returned("nobody's", player.now)
    assert player.heard_ms == 500
    assert player.audible()
    player.back(0)
    player.back(0)
    assert not player.audible()


def test_a_later_mark_stands_for_those_that_were_lost() -> None:
    player = Player()
    player.say(600)
    player.say(600)
    player.now += 1.2
    player.back(1)
    assert player.playback.overdue_at == float("inf")
    assert player.heard_ms == 1_200


def test_a_new_socket_has_marks_again_and_the_old_ones_mean_nothing() -> None:
    player = Player()
    player.say(500)
    player.playback.reckon_by_clock()
    player.now += 0.2
    player.cut()
    player.playback.restart_marks(player.now)
    assert player.playback.has_marks
    assert player.playback.returned(player.marks[0], player.now)
    assert player.heard_ms == 200


# --- turns and items -------------------------------------------------------------------------------------------------


def test_a_turn_without_audio_is_not_told() -> None:
    player = Player()
    player.playback.begin_turn("one")
    assert not player.playback.end_turn()
    player.playback.begin_turn("two")
    assert player.cut() == []


def test_turns_are_told_apart_and_in_order() -> None:
    player = Player()
    player.turn(300, "one")
    player.turn(200, "two")
    player.now += 0.3
    player.back(0)
    assert player.settled() == [heard(300, 300, "one")]
    player.now += 0.2
    player.back(1)
    assert player.settled() == [heard(200, 200, "two")]


def test_a_clear_voids_what_was_not_played_yet_of_all_turns() -> None:
    player = Player()
    player.turn(1_000, "one")
    player.turn(500, "two")
    player.now += 0.75
    assert player.cut() == [heard(750, 1_000, "one", interrupted=True), heard(0, 500, "two", interrupted=True)]
    assert not player.audible()
    assert player.cut() == []


def test_a_turn_that_was_heard_whole_is_not_interrupted_even_if_its_mark_is_still_out() -> None:
    player = Player()
    player.turn(300)
    player.now += 0.4
    assert player.cut() == [heard(300, 300)]


def test_marks_that_a_clear_brings_back_do_not_mean_heard() -> None:
    player = Player()
    player.say(3_000)
    player.now += 1
    player.cut()
    before = player.heard_ms
    player.back(0)
    assert player.heard_ms == before == 1_000


def test_items_are_told_in_ms_of_their_own_audio() -> None:
    player = Player()
    player.playback.begin_turn("turn")
    player.playback.begin_item("comment", "turn", 0)
    player.say(400)
    player.playback.begin_item("answer", "turn", 0)
    player.say(1_000)
    player.now += 0.4
    player.now += 0.1
    (told,) = player.cut()
    assert told == Heard(
        turn="turn",
        items=(
            HeardItem(item="comment", heard_ms=400, sent_ms=400),
            HeardItem(item="answer", heard_ms=100, sent_ms=1_000),
        ),
        interrupted=True,
    )


def test_an_item_without_a_turn_begins_one() -> None:
    player = Player()
    player.playback.owner = player
    player.playback.begin_item("item", "turn", 0)
    player.say(100)
    (told,) = player.playback.cut(player.now)
    assert told == TurnHeard(
        player,
        Heard(turn="turn", items=(HeardItem(item="item", heard_ms=0, sent_ms=100),), interrupted=True),
        given_ms=(100,),
        is_complete=False,
    )


def test_a_pause_leaves_the_turn_open_and_it_goes_on_where_it_stopped() -> None:
    player = Player()
    player.playback.begin_item("item", "turn", 0)
    player.say(1_000)
    player.now += 0.3
    (told,) = player.cut(pause=True)
    assert (told.paused, told.items) == (True, (HeardItem(item="item", heard_ms=300, sent_ms=1_000),))
    was_paused = player.playback.is_paused
    assert not player.audible()
    player.playback.begin_item("item", "turn", 300)
    assert (was_paused, player.playback.is_paused) == (True, False)
    player.say(700)
    player.end_turn()
    player.now += 0.7
    player.back(-1)
    (told,) = player.settled()
    assert told == Heard(turn="turn", items=(HeardItem(item="item", heard_ms=1_000, sent_ms=1_000),))


def test_a_paused_turn_can_be_interrupted_or_is_when_another_begins() -> None:
    for end in (lambda player: player.cut(), lambda player: [one.heard for one in player.playback.begin_turn("next")]):
        player = Player()
        player.playback.begin_item("item", "turn", 0)
        player.say(1_000)
        player.now += 0.25
        player.cut(pause=True)
        player.now += 5
        (told,) = end(player)
        assert told == Heard(
            turn="turn", items=(HeardItem(item="item", heard_ms=250, sent_ms=1_000),), interrupted=True
        )
        assert not player.playback.is_paused


def test_what_waits_in_front_of_the_carrier_is_audible_and_not_sent() -> None:
    player = Player()
    player.playback.begin_turn("turn")
    player.playback.accepted += 30_000 * MS
    assert player.audible()
    assert player.playback.ahead_ms(player.now) == 30_000
    assert not player.playback.is_at_carrier(player.now)
    assert player.cut() == [heard(0, 0, "turn", interrupted=True)]


def test_audio_that_comes_after_a_gap_within_its_turn_is_late_and_a_new_turn_is_not() -> None:
    player = Player()
    player.say(100)
    player.now += 0.05
    player.say(100)  # in time
    player.now += 0.25
    player.say(100)  # the caller heard nothing for 100 ms
    assert player.playback.late == 1
    player.end_turn()
    player.now += 9
    player.say(100)
    assert player.playback.late == 1


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.integers(1, 3_000)),
            st.tuples(st.just("keep"), st.integers(1, 3_000)),
            st.tuples(st.just("end"), st.just(0)),
            st.tuples(st.just("cut"), st.integers(0, 1)),
            st.tuples(st.just("item"), st.integers(0, 3)),
            st.tuples(st.just("back"), st.integers(0, 30)),
            st.tuples(st.just("clock"), st.just(0)),
            st.tuples(st.just("wait"), st.integers(0, 5_000)),
        )
    )
)
def test_heard_never_passes_what_was_sent_nor_real_time(steps: list[tuple[str, int]]) -> None:
    player = Player()
    playback, began, before = player.playback, player.now, 0.0
    told: list[Heard] = []
    for number, (step, value) in enumerate(steps):
        told += player.act(step, value, f"turn {number}") + player.settled()
        now_heard = playback.heard(player.now)
        assert before <= now_heard + 0.51  # a clear counts whole bytes
        assert now_heard <= playback.sent <= playback.accepted
        assert now_heard <= (player.now - began + 0.25) * 8_000 + 1
        before = now_heard
    ends = [one.turn for one in told if not one.paused and one.turn]
    assert len(ends) == len(set(ends))  # each is told once
    assert all(item.heard_ms <= item.sent_ms for one in told for item in one.items)
    assert len(player.marks) == len(set(player.marks))
