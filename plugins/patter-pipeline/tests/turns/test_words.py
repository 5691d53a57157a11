"""Words, echoes, backchannels and dictation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_pipeline.turns.backchannels import is_backchannel
from patter_pipeline.turns.dictation import is_dictating
from patter_pipeline.turns.words import is_echo, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("  Hello, World!  ", ["hello", "world"]),
        ("It’s 3.50 – isn't it?", ["it's", "3.50", "isn't", "it"]),
        ("ÉTÉ straße", ["été", "strasse"]),
        ("好的，明白", ["好", "的", "明", "白"]),
        ("… ?! — _", []),
    ],
)
def test_words_are_compared_without_case_and_marks(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(st.text(st.sampled_from("abÉß’'.-_3一二 !，⼀"), max_size=20))
def test_words_of_words_are_the_same(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found
    assert all(any(character.isalnum() for character in word) for word in found)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("mhm", ""),
        ("Mm-hmm.", "en"),
        ("uh huh", "en"),
        ("Uh-huh", "de"),
        ("hmmmm", "fr"),
        ("yeah, yeah", "en-US"),
        ("I see", "en"),
        ("Sì, certo.", "it"),
        ("va bene", "it"),
        ("ja genau", "de"),
        ("Ach so!", "de"),
        ("d'accord", "fr"),
        ("oui, oui", "fr"),
        ("vale, vale", "es"),
        ("pois é", "pt-BR"),
        ("ok", "ja"),
    ],
)
def test_murmurs_of_a_listener(text: str, language: str) -> None:
    assert is_backchannel(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("no", ""),
        ("yes but", "en"),
        ("no wait", "en"),
        ("stop", ""),
        ("I", "en"),
        ("ja", "en"),
        ("right right right right right", "en"),
        ("so", "de"),
        ("hello", ""),
        ("", ""),
        ("…", ""),
        ("um what", "en"),
    ],
)
def test_words_that_are_none(text: str, language: str) -> None:
    assert not is_backchannel(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("my number is five five", "en"),
        ("it is 0 6", ""),
        ("555", ""),
        ("it's 555-1234", "en"),
        ("A as in... B, C", "en"),
        ("mio codice è tre quattro", "it"),
        ("drei zwo", "de"),
        ("zéro six", "fr"),
        ("nueve uno", "es"),
        ("sete meia", "pt"),
    ],
)
def test_digits_and_letters_are_dictated(text: str, language: str) -> None:
    assert is_dictating(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a table for four", "en"),
        ("at 9", "en"),
        ("tre quattro", "en"),
        ("I said so", "en"),
        ("", ""),
        ("five, please", "en"),
    ],
)
def test_a_single_number_is_no_dictation(text: str, language: str) -> None:
    assert not is_dictating(text, language)


def test_an_echo_is_a_run_of_words_of_what_is_said() -> None:
    spoken = "We open at nine. Shall I book a table?"
    assert is_echo("open at nine", spoken)
    assert is_echo("NINE, shall i", spoken)
    assert not is_echo("nine", spoken)
    assert not is_echo("open nine", spoken)
    assert not is_echo("table please", spoken)
    assert not is_echo("", spoken)


@given(st.text(max_size=60), st.sampled_from(["", "en", "it", "xx"]))
def test_no_text_breaks_them(text: str, language: str) -> None:
    is_dictating(text, language)
    if is_backchannel(text, language):
        assert 0 < len(words(text)) <= 4
    assert not is_echo(text, "")
