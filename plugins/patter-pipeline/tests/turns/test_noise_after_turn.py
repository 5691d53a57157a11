"""A noise just after the caller's turn: it does not delay the answer for as long as a word would."""

from __future__ import annotations

import pytest

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


def asked(out: list[Output]) -> bool:
    return any(isinstance(one, Ask | TakeDraft) for one in out)


def question(*, final: bool = True) -> Turns:
    """A caller who has asked something from 10 to 11 s, as a recognition that tells words while they speak has it."""
    turns = Turns(Settings())
    turns.step(inputs.SpeechBegan(10.0), 10.0)
    turns.step(inputs.SttInterim("When do you", 10.0), 10.6)
    turns.step(inputs.SpeechEnded(11.0), 11.0)
    passed(turns, 11.35)
    if final:
        turns.step(inputs.SttFinal("When do you open?", 10.0, 11.0), 11.35)
    return turns


def test_the_turn_ends_once_a_word_of_it_would_have_been_told() -> None:
    turns = question()
    slam(turns, 11.4)  # until 11.75
    assert not asked(passed(turns, 12.1))
    assert asked(passed(turns, 12.2))


def test_and_while_it_goes_on_a_second_after_it_began() -> None:
    turns = question()
    turns.step(inputs.SpeechBegan(11.4), 11.4)
    assert not asked(passed(turns, 12.35))
    assert asked(passed(turns, 12.45))


@pytest.mark.parametrize("is_final", [False, True], ids=["an interim", "a final"])
def test_a_word_of_it_is_of_the_same_turn_which_then_ends_after_that_word(is_final: bool) -> None:
    turns = question()
    slam(turns, 11.4)
    out = passed(turns, 12.0)
    word = inputs.SttFinal("On Sundays?", 11.4, 11.75) if is_final else inputs.SttInterim("On", 11.4)
    out += turns.step(word, 12.0)
    assert not asked(out + passed(turns, 12.3))
    assert asked(passed(turns, 14.0))
    assert [item.text for item in turns.history if hasattr(item, "text")][-1].startswith("When do you open? On")


def test_text_that_is_not_final_is_waited_for() -> None:
    turns = question(final=False)
    slam(turns, 11.4)
    assert not asked(passed(turns, 12.4))
    assert asked(turns.step(inputs.SttFinal("When do you open?", 10.0, 11.0), 12.4))


def test_a_noise_after_the_turn_was_ended_opens_it_for_as_short() -> None:
    turns = question()
    assert asked(passed(turns, 11.7))
    slam(turns, 11.8)  # until 12.15
    assert not asked(passed(turns, 12.5))
    assert asked(passed(turns, 12.6))


def test_without_interims_there_is_nothing_to_tell_a_cough_by() -> None:
    turns = Turns(Settings(stt_interims=False))
    turns.step(inputs.SpeechBegan(10.0), 10.0)
    turns.step(inputs.SpeechEnded(11.0), 11.0)
    turns.step(inputs.SttFinal("When do you open?", 10.0, 11.0), 11.3)
    slam(turns, 11.4)
    assert not asked(passed(turns, 12.7))
    assert asked(passed(turns, 12.8))


def test_recognition_that_ends_turns_has_the_turn_answered_all_the_same_within_a_second() -> None:
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


def test_words_that_only_recognition_finds_after_it_are_not_lost() -> None:
    turns = question()
    turns.step(inputs.SpeechBegan(11.4), 11.4)  # and never ends
    assert asked(passed(turns, 12.45))
    out = turns.step(inputs.SttInterim("No wait", 13.0), 13.1)
    assert not asked(out)
    assert turns.step(inputs.SttInterim("No wait", 13.0), 13.1) == []
    assert asked(passed(turns, 20.0))
    assert [item.text for item in turns.history if hasattr(item, "text")][-1] == "When do you open? No wait"


def test_a_noise_that_was_forgotten_while_it_went_on_does_not_begin_again() -> None:
    turns = question()
    turns.step(inputs.SpeechBegan(11.4), 11.4)
    passed(turns, 12.45)
    assert turns.step(inputs.SpeechBegan(11.4), 12.5) == []
    assert passed(turns, 13.0) == []
