"""Lines of a conversation: which events add one, and what a correction does."""

from __future__ import annotations

import pytest

from patter_core.events import (
    CallEvent,
    Interruption,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.store import Speaker, Utterance, conversation, utterance_of


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (TranscriptInput(text="Hi."), Utterance(Speaker.CALLER, "Hi.")),
        (TranscriptOutput(text="Hello."), Utterance(Speaker.AGENT, "Hello.")),
        (TranscriptCorrection(text="Hel"), Utterance(Speaker.AGENT, "Hel", corrects=True)),
        (Interruption(), None),
    ],
)
def test_a_line_is_what_somebody_said(event: CallEvent, line: Utterance | None) -> None:
    assert utterance_of(event) == line


def test_a_correction_takes_the_place_of_what_was_not_heard() -> None:
    lines = [
        Utterance(Speaker.AGENT, "We open at nine and close at five."),
        Utterance(Speaker.CALLER, "Wait."),
        Utterance(Speaker.AGENT, "We open at nine", corrects=True),
    ]
    assert conversation(lines) == [Utterance(Speaker.AGENT, "We open at nine"), Utterance(Speaker.CALLER, "Wait.")]
    assert conversation(lines[2:]) == [Utterance(Speaker.AGENT, "We open at nine")]


def test_a_line_does_not_show_what_was_said() -> None:
    assert "heart" not in repr(Utterance(Speaker.CALLER, "My heart hurts."))
