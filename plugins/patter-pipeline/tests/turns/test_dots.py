"""After which dots a sentence goes on: the rows of the table, in several languages."""

from __future__ import annotations

import pytest

from patter_pipeline.turns.dots import goes_on

GOES_ON = (
    "Ask Dr.| Smith now",
    "Mr. J.| Brown now",
    "the U.S.| Army now",
    "z.B.| Montag und",
    "1.| Eggs and",
    "First:\n2.| Milk and",
    "We have rules: 2.| Milk and",
    "It is open. 2.| Milk and",
    "rules…2.| Milk and",
    "am 3.| und 4. Mai",
    "den 10.| Mai oder",
    "im 2.| obergeschoss und",
    "der 2.| Weltkrieg war",
    "den 3. maj og 4.| juni er",
    "Bring No.| 5 along",
    "Hauptstr.| 12 ist",
    "on Sept.| 3 or",
    "milk etc.| and so",
    "at 5 p.m.| on Monday",
)
ENDS = (
    "It is 2.| No pets",
    "I am 42.| Nice to",
    "It costs 3.50.| Then we",
    "Es kostet 3,50.| Gut oder",
    "at 10:30.| Then we",
    "In 1990.| Then it",
    "um 5.| Bis dann",
    "alle 10.| Va bene",
    "Did it? No.| We do",
    "milk etc.| The rest",
    "at 5 p.m.| We close",
    "at a.example/b?c=d.| We close",
    "I mean it.| Yes we",
)


@pytest.mark.parametrize("text", GOES_ON)
def test_it_goes_on(text: str) -> None:
    before, after = text.split("|")
    assert goes_on(before + after, len(before) - 1, is_start=True) is True


@pytest.mark.parametrize("text", ENDS)
def test_it_ends(text: str) -> None:
    before, after = text.split("|")
    assert goes_on(before + after, len(before) - 1, is_start=True) is False


@pytest.mark.parametrize("text", ["It is 2. ", "It is 2. Ma", "Bring No. ", "milk etc. "])
def test_it_is_not_known_before_the_next_word_is(text: str) -> None:
    assert goes_on(text, text.index("."), is_start=True) is None


def test_a_number_at_the_beginning_counts_only_where_a_sentence_begins() -> None:
    assert goes_on("2. No pets", 1, is_start=True)
    assert goes_on("2. No pets", 1, is_start=False) is False
