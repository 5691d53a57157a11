"""Sentences that stop where none ends."""

from __future__ import annotations

import pytest

from patter_pipeline.turns import inputs
from patter_pipeline.turns.outputs import Ask
from patter_pipeline.turns.settings import Settings
from patter_pipeline.turns.turns import Turns
from patter_pipeline.turns.unfinished import is_unfinished


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I am calling because", "en"),
        ("I am calling because.", "en-us"),
        ("I was wondering if, um", "en"),
        ("Um", ""),
        ("My name is Ann and", ""),
        ("Vorrei un tavolo con", "it"),
        ("Ich rufe an, weil", "de"),
        ("Je voudrais une table et", "fr"),
        ("Quiero una mesa con", "es"),
        ("Eu queria uma mesa e", "pt-br"),
    ],
)
def test_more_follows(text: str, language: str) -> None:
    assert is_unfinished(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "en"),
        ("Yes.", "en"),
        ("And?", "en"),
        ("And", "en"),
        ("I think so", "en"),
        ("What are you looking at?", "en"),
        ("A table for two", "en"),
        ("È per lei e", "en"),
        ("Non so perché", "it"),
        ("Ich steige ein", "de"),
        ("I have a plan A", ""),
    ],
)
def test_it_may_be_complete(text: str, language: str) -> None:
    assert not is_unfinished(text, language)


@pytest.mark.parametrize(("text", "after"), [("I am calling because", 1.5), ("I am calling about it", 0.6)])
def test_the_caller_gets_more_time_to_go_on(text: str, after: float) -> None:
    turns = Turns(Settings(draft=False, language="en"))
    turns.step(inputs.SpeechBegan(1.0), 1.0)
    turns.step(inputs.SpeechEnded(2.0), 2.0)
    turns.step(inputs.SttFinal(text, 1.0, 2.0), 2.3)
    assert not [one for one in turns.step(inputs.TimePassed(), 2.0 + after - 0.01) if isinstance(one, Ask)]
    assert [one for one in turns.step(inputs.TimePassed(), 2.0 + after + 0.01) if isinstance(one, Ask)]
