"""What `patter simulate --expect` compares: words, as they are heard."""

from __future__ import annotations

import pytest

from patter_core.cli.expectations import check_expectations, unmet
from patter_core.errors import ConfigurationError
from patter_core.events import Record, TranscriptOutput


def records(*texts: str) -> list[Record]:
    return [
        Record(call_id="c", sequence=place, time=0.0, elapsed_ms=0.0, event=TranscriptOutput(text=text))
        for place, text in enumerate(texts, 1)
    ]


SAID = ("You\u2019re welcome, Mr. Smith!", "Shall I book\u2026 a check-in at 9:30? That\u2019s \u20ac5.")


@pytest.mark.parametrize(
    "words",
    [
        "you're welcome mr smith",
        "YOU\u2019RE WELCOME",
        "You\u00b4re welcome",
        "Welcome, Mr. Smith. Shall I book a check in",
        "check-in at 9:30",
        "at 9 30 -- that's \u20ac5!",
        "smi",
        "wel come",
        "checkin",
        "youre welcome mrsmith shall i bookacheck in",
        "at 9.30",
    ],
)
def test_case_punctuation_and_blanks_make_no_difference(words: str) -> None:
    assert unmet(records(*SAID), [words], []) == []


@pytest.mark.parametrize("words", ["smith mr", "you are welcome", "at 930", "at 93 0", "$5"])
def test_other_words_do(words: str) -> None:
    assert unmet(records(*SAID), [words], []) == [f"Expected the agent to say \u201c{words}\u201d."]


@pytest.mark.parametrize("words", ["", " ", "?!", "\u2019"])
def test_an_expectation_without_words_is_refused(words: str) -> None:
    with pytest.raises(ConfigurationError, match="--expect is empty"):
        check_expectations([words], [])
