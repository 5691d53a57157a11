"""What is no interruption: noise, before the recognition has told any words, and the agent's own voice."""

from __future__ import annotations

import pytest

from patter_pipeline.turns import Settings, State, Turns, inputs
from patter_pipeline.turns.outputs import Interrupt, Output, Pause, Replay

TEXT = "Our kitchen is open from noon until ten, and we close at eleven."


class Agent:
    """One that speaks, and is past the beginning of its speech."""

    def __init__(self, *, interims: bool = True) -> None:
        self.turns = Turns(Settings(final_p99=0.4, stt_interims=interims))
        self.out: list[Output] = []
        self.now = 10.0
        self.give(inputs.Say(TEXT))
        (speak,) = (one for one in self.out if hasattr(one, "n") and type(one).__name__ == "Speak")
        self.give(inputs.VoiceAudio(speak.n, 8_000.0))
        self.wait(2)

    def give(self, event: inputs.Input) -> None:
        self.out += self.turns.step(event, self.now)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.turns.deadline()) <= until:
            self.now = max(self.now, due)
            self.give(inputs.TimePassed())
        self.now = until

    def noise(self, seconds: float) -> None:
        self.give(inputs.SpeechBegan(self.now))
        self.wait(seconds)
        self.give(inputs.SpeechEnded(self.now))

    def has(self, kind: type[Output]) -> bool:
        return any(isinstance(one, kind) for one in self.out)


def test_a_long_noise_in_the_first_speech_of_a_call_interrupts_nothing() -> None:
    agent = Agent()
    agent.noise(1.5)
    agent.wait(1)
    assert agent.has(Pause)
    assert agent.has(Replay)
    assert not agent.has(Interrupt)
    assert agent.turns.state is State.SPEAKING


def test_it_does_where_recognition_has_told_a_final_text_and_no_interim() -> None:
    agent = Agent()
    agent.give(inputs.SttFinal("Yes.", agent.now - 0.2, agent.now))
    agent.noise(1.5)
    assert agent.has(Interrupt)


def test_it_does_where_recognition_says_that_it_tells_none() -> None:
    agent = Agent(interims=False)
    agent.noise(1.5)
    assert agent.has(Interrupt)


@pytest.mark.parametrize("words", [["Our", "Our kitchen", "Our kitchen is"], ["we", "we close"]])
def test_the_first_word_of_an_echo_is_no_interruption_while_more_may_follow(words: list[str]) -> None:
    agent = Agent()
    agent.give(inputs.SpeechBegan(agent.now))
    for text in words:
        agent.wait(0.3)
        agent.give(inputs.SttInterim(text, agent.now - 0.3))
    assert not agent.has(Interrupt)


def test_another_word_is_one_at_once_and_so_is_a_word_of_the_agents_that_is_all_they_say() -> None:
    agent = Agent()
    agent.give(inputs.SttInterim("Stop", agent.now))
    assert agent.has(Interrupt)
    agent = Agent()
    agent.give(inputs.SttInterim("Eleven", agent.now))
    assert not agent.has(Interrupt)
    agent.give(inputs.SttFinal("Eleven?", agent.now - 0.4, agent.now))
    assert agent.has(Interrupt)
