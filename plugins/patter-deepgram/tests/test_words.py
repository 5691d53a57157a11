from __future__ import annotations

from patter_deepgram.wire.nova import SpokenWord
from patter_deepgram.words import words_of


def spoken(*words: str, step: float = 0.5) -> list[SpokenWord]:
    return [
        SpokenWord(word=word.lower().strip(".,"), punctuated_word=word, start=place * step, end=(place + 1) * step)
        for place, word in enumerate(words)
    ]


def ms(seconds: float) -> float:
    return seconds * 1000


def test_the_words_together_are_the_text() -> None:
    text = "A table,  for two. "
    words = words_of(text, spoken("A", "table,", "for", "two."), ms)
    assert "".join(word.text for word in words) == text
    assert [word.text for word in words] == ["A ", "table,  ", "for ", "two. "]
    assert [(word.start_ms, word.end_ms) for word in words[:2]] == [(0, 500), (500, 1_000)]


def test_words_without_marks_are_found_in_a_text_with_marks() -> None:
    bare = [SpokenWord(word="table", start=0.0, end=0.5), SpokenWord(word="two", start=0.5, end=1.0)]
    assert [word.text for word in words_of("table, two!", bare, ms)] == ["table, ", "two!"]


def test_words_that_are_not_those_of_the_text_are_none() -> None:
    assert words_of("Call 555.", spoken("Call", "five", "five", "five."), ms) == ()
    assert words_of("Well, a table", spoken("a", "table"), ms) == ()
    assert words_of("A table", [SpokenWord(word="A", start=0.0, end=None)], ms) == ()
    assert words_of("A table", [SpokenWord(word="", start=0.0, end=1.0)], ms) == ()
    assert words_of("A table", [], ms) == ()


def test_times_that_run_backwards_are_put_in_order() -> None:
    odd = [SpokenWord(word="A", start=2.0, end=1.0), SpokenWord(word="table", start=0.0, end=0.5)]
    assert [(word.start_ms, word.end_ms) for word in words_of("A table", odd, ms)] == [(2_000, 2_000), (2_000, 2_000)]
