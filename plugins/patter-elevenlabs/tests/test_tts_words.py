"""Words and their times, from alignments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.events import Word
from patter_elevenlabs.tts.wire import Alignment
from patter_elevenlabs.tts.words import Words


def alignment(text: str, each_ms: float = 50.0, first_ms: float = 0.0) -> Alignment:
    times = tuple(first_ms + place * each_ms for place in range(len(text)))
    return Alignment(chars=tuple(text), starts=times, durations=(each_ms,) * len(text))


def word(text: str, start_ms: float, end_ms: float) -> Word:
    return Word(text=text, start_ms=start_ms, end_ms=end_ms)


def test_words_have_the_text_as_given_and_times_from_the_beginning_of_the_utterance() -> None:
    words = Words()
    words.add("At 7 pm, ")
    words.add("today.")
    assert list(words.said(alignment(" At 7 p"), 0.0)) == [word("At ", 50.0, 150.0), word("7 ", 200.0, 250.0)]
    assert list(words.said(alignment("m, today. "), 350.0)) == [
        word("pm, ", 300.0, 450.0),
        word("today.", 500.0, 800.0),
    ]


def test_blanks_between_pieces_belong_to_the_word_before_where_it_was_not_said_yet() -> None:
    words = Words()
    words.add("Good")
    words.add(" evening")
    assert [one.text for one in words.said(alignment("Good evening "), 0.0)] == ["Good ", "evening"]


def test_blanks_after_a_word_that_was_said_lead_the_next_one() -> None:
    words = Words()
    words.add("Good")
    said = list(words.said(alignment("Good "), 0.0))
    words.add(" evening")
    assert "".join(one.text for one in [*said, *words.said(alignment("evening"), 250.0)]) == "Good evening"


def test_signs_of_scripts_without_blanks_are_words() -> None:
    words = Words()
    words.add("你好。再见!")
    assert [one.text for one in words.said(alignment("你好。再见!"), 0.0)] == ["你", "好。", "再", "见", "!"]


def test_an_alignment_that_begins_again_repeats_no_word() -> None:
    words = Words()
    words.add("the lazy dog sleeps on the mat")
    first = list(words.said(alignment("the lazy dog sle"), 0.0))
    again = list(words.said(alignment("dog sleeps on the mat"), 800.0))
    assert [one.text for one in [*first, *again]] == ["the ", "lazy ", "dog ", "sleeps ", "on ", "the ", "mat"]
    times = [time for one in [*first, *again] for time in (one.start_ms, one.end_ms)]
    assert times == sorted(times)


def test_what_an_alignment_leaves_out_was_said_when_the_next_thing_is() -> None:
    words = Words()
    words.add("one two three four")
    assert [one.text for one in words.said(alignment("one "), 0.0)] == ["one "]
    two, three, _ = words.said(alignment("three four"), 200.0)
    assert (two, three) == (word("two ", 200.0, 200.0), word("three ", 200.0, 450.0))


@pytest.mark.parametrize(
    "odd",
    [
        Alignment(),
        Alignment(chars=None, starts=None, durations=None),
        Alignment(chars=("x", "y"), starts=(0.0, 1.0), durations=(1.0, 1.0)),
        Alignment(chars=("G",), starts=(), durations=()),
    ],
)
def test_an_alignment_of_something_else_tells_nothing(odd: Alignment) -> None:
    words = Words()
    words.add("Good evening")
    assert list(words.said(odd, 0.0)) == []
    assert len(list(words.said(alignment("Good evening"), 0.0))) == 2


def test_durations_may_have_their_other_name() -> None:
    words = Words()
    words.add("Yes")
    odd = Alignment(chars=("Y", "e", "s"), starts=(0.0, 10.0, 20.0), durations_too=(10.0, 10.0, 10.0))
    assert list(words.said(odd, 5.0)) == [word("Yes", 5.0, 35.0)]


@given(st.lists(st.text(alphabet="ab 你,.\n", min_size=1), min_size=1), st.lists(st.integers(1, 9), min_size=1))
def test_the_words_are_the_text_in_order_however_it_is_cut(pieces: list[str], sizes: list[int]) -> None:
    words = Words()
    for piece in pieces:
        words.add(piece)
    text = "".join(pieces)
    said: list[Word] = []
    at = number = 0
    while at < len(text):
        size = sizes[number % len(sizes)]
        said += words.said(alignment(text[at : at + size]), at * 50.0)
        at, number = at + size, number + 1
    assert "".join(one.text for one in said).strip() == text.strip()
    times = [time for one in said for time in (one.start_ms, one.end_ms)]
    assert times == sorted(times)
    assert all(one.text.strip() for one in said)
