"""The heard part of a text: a beginning of it, up to the end of a word, and never more than was heard."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.events import Word
from patter_core.events.heard_text import heard_text

TEXT = "We open at nine and close at five."
TEXTS = st.text(alphabet=st.sampled_from("ab ,.\n漢é🙂"), max_size=60)


def words_of(text: str, ms: float = 100.0) -> tuple[Word, ...]:
    """Each word takes so long."""
    parts = text.split(" ")
    texts = [part + " " for part in parts[:-1]] + parts[-1:]
    return tuple(
        Word(text=one, start_ms=number * ms, end_ms=(number + 1) * ms) for number, one in enumerate(texts) if one
    )


@pytest.mark.parametrize(
    ("heard_ms", "said"),
    [(0, ""), (99, ""), (100, "We"), (399, "We open at"), (400, "We open at nine"), (800, TEXT), (9_000, TEXT)],
)
def test_words_are_counted_once_they_were_heard_to_their_end(heard_ms: float, said: str) -> None:
    assert heard_text(TEXT, heard_ms=heard_ms, audio_ms=800, words=words_of(TEXT)) == said


@pytest.mark.parametrize(
    ("heard_ms", "said"),
    [(0, ""), (10, ""), (500, "We open at nine"), (999, "We open at nine and close at"), (1_000, TEXT)],
)
def test_without_times_the_share_of_the_text_is_that_of_the_audio(heard_ms: float, said: str) -> None:
    assert heard_text(TEXT, heard_ms=heard_ms, audio_ms=1_000) == said


def test_a_script_without_blanks_is_cut_between_its_characters() -> None:
    assert heard_text("九時に開店します", heard_ms=500, audio_ms=1_000) == "九時に開"


def test_of_audio_that_was_not_all_made_the_rest_of_the_text_was_not_heard() -> None:
    assert heard_text(TEXT, heard_ms=500, audio_ms=500) == TEXT
    assert heard_text(TEXT, heard_ms=500, audio_ms=500, is_complete=False) == "We open"
    assert heard_text("九時に開店します", heard_ms=500, audio_ms=500, is_complete=False) == "九時"


def test_words_that_are_not_the_text_are_not_used() -> None:
    assert (
        heard_text(TEXT, heard_ms=500, audio_ms=1_000, words=words_of("Something else was said.")) == "We open at nine"
    )


@given(text=TEXTS, heard=st.floats(0, 10_000), audio=st.floats(0, 10_000), complete=st.booleans())
def test_what_was_heard_is_a_beginning_and_no_more_than_its_share(
    text: str, heard: float, audio: float, complete: bool
) -> None:
    said = heard_text(text, heard_ms=heard, audio_ms=audio, is_complete=complete)
    assert text.startswith(said)
    if heard < audio:
        assert len(said) <= len(text) * heard / audio
    if said and len(said) < len(text.rstrip()):
        after = text[len(said)]
        assert after.isspace() or "漢" in (said[-1], after) or "🙂" in (said[-1], after)


@given(text=TEXTS, pauses=st.lists(st.floats(0, 500), min_size=60, max_size=60), heard=st.floats(0, 20_000))
def test_of_words_with_times_none_is_told_that_ends_later(text: str, pauses: list[float], heard: float) -> None:
    ends = list(itertools.accumulate(pauses))
    words = tuple(Word(text=word.text, start_ms=0, end_ms=ends[number]) for number, word in enumerate(words_of(text)))
    said = heard_text(text, heard_ms=heard, audio_ms=20_000, words=words)
    assert text.startswith(said)
    if words and "".join(word.text for word in words) == text and heard > 0:
        count = sum(1 for word in words if word.end_ms <= heard)
        assert said == "".join(word.text for word in words[:count]).rstrip()


@given(text=TEXTS, one=st.floats(0, 1_000), other=st.floats(0, 1_000))
def test_who_hears_longer_hears_no_less(text: str, one: float, other: float) -> None:
    less, more = (heard_text(text, heard_ms=ms, audio_ms=1_000) for ms in sorted((one, other)))
    assert more.startswith(less)
