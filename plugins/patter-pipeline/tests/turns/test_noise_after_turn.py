"""A noise just after the caller's turn, where the recognition ends turns: it says nothing about a noise."""

from __future__ import annotations

from patter_pipeline.turns import Settings, State, Turns, inputs
from patter_pipeline.turns.outputs import Ask, CallerStarted, Output, TakeDraft


def passed(turns: Turns, until: float) -> list[Output]:
    out = list[Output]()
    while (due := turns.deadline()) <= until:
        out += turns.step(inputs.TimePassed(), due)
    return out


def slam(turns: Turns, at: float) -> list[Output]:
    out = turns.step(inputs.SpeechBegan(at), at)
    out += passed(turns, at + 0.35)
    return out + turns.step(inputs.SpeechEnded(at + 0.35), at + 0.35)


def test_the_turn_is_answered_all_the_same_within_a_second() -> None:
    turns = Turns(Settings(stt_ends_turns=True))
    turns.step(inputs.SpeechBegan(10.0), 10.0)
    turns.step(inputs.SpeechEnded(11.0), 11.0)
    out = turns.step(inputs.SttEndOfTurn("When do you open?", 10.0), 11.3)
    assert any(isinstance(one, TakeDraft) for one in out)
    assert any(isinstance(one, CallerStarted) for one in slam(turns, 11.4))
    out = passed(turns, 12.8)
    assert any(isinstance(one, Ask | TakeDraft) for one in out)
    assert turns.state is State.ANSWERING


def test_alone_it_is_forgotten_within_a_second() -> None:
    turns = Turns(Settings(stt_ends_turns=True))
    slam(turns, 10.0)
    passed(turns, 11.4)
    assert turns.state is State.LISTENING


def test_a_turn_with_words_still_waits_for_its_end() -> None:
    turns = Turns(Settings(stt_ends_turns=True))
    turns.step(inputs.SpeechBegan(10.0), 10.0)
    turns.step(inputs.SttInterim("My number", 10.0), 10.5)
    turns.step(inputs.SpeechEnded(11.0), 11.0)
    passed(turns, 15.0)
    assert turns.state is State.PAUSED
