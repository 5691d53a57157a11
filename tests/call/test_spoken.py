"""Texts of the agent and what was heard of their audio, in either order and of several turns: an item for each."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.call.spoken import Spoken
from patter_core.call.turns import TurnHeard
from patter_core.engine import Heard, HeardItem
from patter_core.events import TranscriptCorrection, TranscriptOutput
from patter_core.history import AgentSaid

NOW = 1_000_000.0
TEXT = "We open at nine and close at five."


class Told:
    """What came of it."""

    def __init__(self, *, by_name: bool = True, corrects: bool = False) -> None:
        self.lines: dict[str, AgentSaid] = {}
        self.corrections: list[TranscriptCorrection] = []
        self.spoken = Spoken(keep=self._keep, correct=self.corrections.append, by_name=by_name, corrects=corrects)

    def _keep(self, said: AgentSaid, line: str) -> str:
        line = line or str(len(self.lines))
        self.lines[line] = said
        return line

    @property
    def said(self) -> list[tuple[str, bool]]:
        return [(said.text, said.interrupted) for said in self.lines.values() if said.text]


def heard(
    turn: str,
    *items: tuple[str, float, float],
    complete: bool = True,
    paused: bool = False,
) -> TurnHeard:
    """Of each item its name, what was heard and what there is, in ms."""
    told = tuple(HeardItem(item=name, heard_ms=ms, sent_ms=whole) for name, ms, whole in items)
    is_cut = any(ms < whole for _, ms, whole in items)
    return TurnHeard(
        None,
        Heard(turn=turn, items=told, interrupted=is_cut, paused=paused),
        given_ms=tuple(whole for _, _, whole in items),
        is_complete=complete,
    )


def test_nothing_of_a_turn_was_heard_before_it_began_though_a_mark_comes_early() -> None:
    told = Told()
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.begin("1", NOW - 990)
    told.spoken.heard(heard("1", ("", 1_000, 1_000)), NOW, is_interruption=False)
    told.spoken.begin("2", NOW - 5_000)
    told.spoken.said(TranscriptOutput(TEXT, "2"))
    told.spoken.heard(heard("2", ("", 1_000, 1_000)), NOW, is_interruption=False)
    assert [said.started_ms for said in told.lines.values()] == [NOW - 990, NOW - 1_000]


def test_a_turn_that_was_heard_to_its_end_is_said_whole_once_both_are_known() -> None:
    for text_first in (True, False):
        told = Told()
        told.spoken.begin("1")
        if text_first:
            told.spoken.said(TranscriptOutput(TEXT, "1"))
            assert told.said == []
        told.spoken.heard(heard("1", ("", 2_000, 2_000)), NOW, is_interruption=False)
        if not text_first:
            assert told.said == []
            told.spoken.said(TranscriptOutput(TEXT, "1"))
        assert told.said == [(TEXT, False)]
        assert told.lines["0"].started_ms == NOW - 2_000
        assert told.corrections == []


def test_of_a_turn_that_was_cut_the_heard_part_is_said_and_told_once() -> None:
    told = Told()
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.begin("1")
    told.spoken.heard(heard("1", ("", 1_000, 2_000)), NOW, is_interruption=True)
    told.spoken.said(TranscriptOutput(TEXT, "1"))  # once more
    assert told.said == [("We open at nine", True)]
    assert told.corrections == [TranscriptCorrection("We open at nine", TEXT, "1")]


def test_of_a_turn_of_which_nothing_was_heard_there_is_no_item_and_the_correction_is_empty() -> None:
    told = Told()
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.heard(heard("1", ("", 0, 2_000)), NOW, is_interruption=True)
    assert told.said == []
    assert told.corrections == [TranscriptCorrection("", TEXT, "1")]


def test_each_item_of_a_turn_is_cut_for_itself() -> None:
    told = Told()
    told.spoken.begin("1")
    for item in "abc":
        told.spoken.said(TranscriptOutput(TEXT, "1", item))
    told.spoken.heard(
        heard("1", ("a", 2_000, 2_000), ("b", 1_000, 2_000), ("c", 0, 2_000), complete=False), NOW, is_interruption=True
    )
    assert told.said == [(TEXT, False), ("We open at nine", True)]
    assert [line.started_ms for line in told.lines.values()] == [NOW - 3_000, NOW - 1_000]
    assert [(one.item, one.text) for one in told.corrections] == [("b", "We open at nine"), ("c", "")]


def test_a_text_of_the_whole_turn_is_cut_by_all_its_items() -> None:
    told = Told()
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.heard(heard("1", ("a", 1_000, 1_000), ("b", 0, 1_000)), NOW, is_interruption=True)
    assert told.said == [("We open at nine", True)]


def test_an_item_whose_audio_never_came_was_not_heard() -> None:
    told = Told()
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1", "b"))
    told.spoken.heard(heard("1", ("a", 1_000, 1_000), complete=False), NOW, is_interruption=True)
    assert told.said == []
    assert [one.text for one in told.corrections] == [""]


def test_audio_that_broke_off_in_the_middle_of_the_turn_says_no_more_than_it_may_have() -> None:
    told = Told()
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.heard(heard("1", ("", 1_000, 1_000), complete=False), NOW, is_interruption=False)
    ((text, is_cut),) = told.said
    assert (text, is_cut) == ("We open at nine", True)


def test_a_pause_says_when_the_turn_began_and_nothing_else() -> None:
    told = Told()
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.heard(heard("1", ("", 500, 2_000), paused=True), NOW, is_interruption=False)
    assert told.said == []
    told.spoken.heard(heard("1", ("", 2_000, 2_000)), NOW + 60_000, is_interruption=False)
    assert told.said == [(TEXT, False)]
    assert told.lines["0"].started_ms == NOW - 500


def test_without_names_a_text_is_of_the_turn_that_began_last_or_of_the_next() -> None:
    told = Told(by_name=False)
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput("one", "x"))
    told.spoken.said(TranscriptOutput("two", "y"))
    told.spoken.begin("2")
    told.spoken.begin("3")
    told.spoken.said(TranscriptOutput("three", "z"))
    for turn in "123":
        told.spoken.heard(heard(turn, ("", 100, 100)), NOW, is_interruption=False)
    assert [text for text, _ in told.said] == ["one", "two", "three"]


def test_an_engine_that_corrects_itself_is_not_corrected_and_has_the_last_word() -> None:
    told = Told(corrects=True)
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.heard(heard("1", ("", 1_000, 2_000)), NOW, is_interruption=True)
    assert told.said == [("We open at nine", True)]  # until it says so
    told.spoken.corrected(TranscriptCorrection("We open…", TEXT, "1"))
    assert told.said == [("We open…", True)]
    assert told.corrections == []


def test_its_correction_may_come_before_it_is_known_what_was_heard() -> None:
    told = Told(corrects=True)
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.corrected(TranscriptCorrection("We open…", TEXT, "1"))
    told.spoken.corrected(TranscriptCorrection("?", TEXT, "9"))  # of a turn that there was not
    told.spoken.heard(heard("1", ("", 1_000, 2_000)), NOW, is_interruption=True)
    assert told.said == [("We open…", True)]


def test_a_cut_that_is_no_interruption_is_told_for_every_engine() -> None:
    told = Told(corrects=True)
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.heard(heard("1", ("", 1_000, 2_000)), NOW, is_interruption=False)
    assert [one.text for one in told.corrections] == ["We open at nine"]


def test_an_engine_that_takes_back_a_whole_turn_leaves_no_item() -> None:
    told = Told(corrects=True)
    told.spoken.begin("1")
    told.spoken.said(TranscriptOutput(TEXT, "1"))
    told.spoken.heard(heard("1", ("", 1_000, 2_000)), NOW, is_interruption=True)
    told.spoken.corrected(TranscriptCorrection("", TEXT, "1"))
    assert told.said == []


def test_turns_without_end_take_bounded_memory() -> None:
    told = Told()
    for number in range(1_000):
        told.spoken.said(TranscriptOutput("x", str(number)))
    told.spoken.begin("0")
    told.spoken.heard(heard("0", ("", 1, 1)), NOW, is_interruption=False)
    assert told.said == []  # it is forgotten
    told.spoken.begin("999")
    told.spoken.heard(heard("999", ("", 1, 1)), NOW, is_interruption=False)
    assert told.said == [("x", False)]


@given(
    order=st.permutations(["said 1", "said 2", "heard 1", "heard 2"]),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_in_whatever_order_they_come_what_is_said_is_a_beginning_and_told_once(
    order: list[str], shares: tuple[float, float]
) -> None:
    told = Told()
    texts = {"1": TEXT, "2": "Is there anything else?"}
    for turn in texts:
        told.spoken.begin(turn)
    for what, turn in (step.split() for step in order):
        if what == "said":
            told.spoken.said(TranscriptOutput(texts[turn], turn))
        else:
            share = shares[int(turn) - 1]
            told.spoken.heard(heard(turn, ("", 1_000 * share, 1_000)), NOW + int(turn), is_interruption=True)
    for turn, share in zip(texts, shares, strict=True):
        text = texts[turn]
        said = [one for one in told.lines.values() if one.text and text.startswith(one.text)]
        assert len(said) <= 1
        assert sum(len(one.text) for one in said) <= len(text) * share or share > 0.998
        corrections = [one for one in told.corrections if one.turn == turn]
        assert len(corrections) <= 1
        if said and said[0].text != text:
            assert [one.text for one in corrections] == [said[0].text]


@pytest.mark.parametrize("text_first", [True, False])
def test_several_turns_that_wait_at_the_carrier_are_cut_oldest_first(text_first: bool) -> None:
    told = Told()
    steps: list[list[Callable[[], None]]] = [
        [functools.partial(told.spoken.said, TranscriptOutput(f"{turn} {TEXT}", turn)) for turn in "12"],
        [
            lambda: told.spoken.heard(heard("1", ("", 1_000, 2_000)), NOW, is_interruption=True),
            lambda: told.spoken.heard(heard("2", ("", 0, 2_000)), NOW, is_interruption=True),
        ],
    ]
    for turn in "12":
        told.spoken.begin(turn)
    for step in itertools.chain.from_iterable(steps if text_first else steps[::-1]):
        step()
    assert told.said == [("1 We open at nine", True)]
    assert [one.text for one in told.corrections] == ["1 We open at nine", ""]
