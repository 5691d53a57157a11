"""What an agent is given becomes a pipeline, or an error that says what is wrong."""

from __future__ import annotations

from typing import ClassVar

import pytest

from patter_core import Patter
from patter_core.engine import EngineCapability
from patter_core.errors import ConfigurationError
from patter_core.testing.fakes import FakeCarrier
from patter_pipeline import Pipeline, TurnTaking, WebRtcActivity
from patter_pipeline.composing import compose
from patter_pipeline.parts import Guardrail
from patter_pipeline.testing.fakes import FakeLlm, FakeStt, FakeTts

STT, LLM, TTS = FakeStt("ws://127.0.0.1:9"), FakeLlm("ws://127.0.0.1:9"), FakeTts("ws://127.0.0.1:9")


class Polite(Guardrail):
    name: ClassVar[str] = "polite"


def shout(sentence: str) -> str:
    return sentence.upper()


def test_an_agent_of_parts_has_a_pipeline() -> None:
    phone = Patter(carrier=FakeCarrier())
    agent = phone.agent(
        stt=STT,
        llm=LLM,
        tts=TTS,
        guardrails=[Polite(), shout],
        vad=WebRtcActivity(mode=3),
        turn_taking=TurnTaking(fillers=("One moment.",)),
    )
    engine = agent.engine
    assert isinstance(engine, Pipeline)
    assert (engine.stt, engine.llm, engine.tts) == ((STT,), (LLM,), (TTS,))
    assert engine.vad == WebRtcActivity(mode=3)
    assert [type(rule) for rule in engine.guardrails] == [Polite, type(shout)]
    assert engine.turn_taking.fillers == ("One moment.",)
    assert {EngineCapability.TOOLS, EngineCapability.SAY, EngineCapability.HISTORY} <= engine.capabilities


def test_a_second_part_of_a_kind_is_its_reserve() -> None:
    reserve = FakeStt("ws://127.0.0.1:10")
    engine = Patter(carrier=FakeCarrier()).agent(stts=[STT, reserve], llm=LLM, tts=TTS).engine
    assert isinstance(engine, Pipeline)
    assert engine.stt == (STT, reserve)


def test_some_parts_only_are_an_error_that_names_what_is_missing() -> None:
    phone = Patter(carrier=FakeCarrier())
    with pytest.raises(ConfigurationError, match="needs tts="):
        phone.agent(stt=STT, llm=LLM)
    with pytest.raises(ConfigurationError, match="not of that kind"):
        phone.agent(stt=LLM, llm=LLM, tts=TTS)


def test_what_there_may_be_one_of() -> None:
    phone = Patter(carrier=FakeCarrier())
    with pytest.raises(ConfigurationError, match="one vad"):
        phone.agent(stt=STT, llm=LLM, tts=TTS, vads=[WebRtcActivity(), WebRtcActivity()])
    with pytest.raises(ConfigurationError, match="parts only"):
        phone.agent(stts=[STT, shout], llm=LLM, tts=TTS)


def test_a_reserve_must_end_turns_as_the_first_does() -> None:
    reserve = FakeStt("ws://127.0.0.1:10", ends_turns=True)
    with pytest.raises(ConfigurationError, match="ends turns"):
        Patter(carrier=FakeCarrier()).agent(stts=[STT, reserve], llm=LLM, tts=TTS)


def test_kinds_of_others_are_theirs() -> None:
    assert compose({"stt": STT, "llm": LLM, "tts": TTS, "choir": STT}) is None


@pytest.mark.parametrize("wrong", [{"end": -1.0}, {"barge_in": 61.0}, {"hello": "soon"}, {"fillers": "One moment."}])
def test_times_that_no_call_bears(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        TurnTaking(**wrong)  # type: ignore[arg-type] # the mistake
