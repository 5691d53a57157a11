"""Who talks when a conversation fails: in the order that the agents say, and never without an end."""

from __future__ import annotations

from patter_core.agent import Agent, CallOptions, Retry
from patter_core.call.fallback import FallbackChain
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.fakes import FakeEngine

ENGINE = FakeEngine()
SORRY = HangUp("Sorry.")
LAST = Agent(engine=ENGINE, name="last", fallback=Retry(times=1, then=SORRY))
FIRST = Agent(engine=ENGINE, name="first", fallback=Retry(times=2, then=LAST))


def names(chain: FallbackChain, *, retry: bool) -> list[str]:
    told = [chain.agent.name]
    while chain.advance(retry=retry, within=60) is not None:
        told.append(chain.agent.name)
    return told


def test_each_agent_is_tried_again_as_often_as_it_says_then_the_next() -> None:
    chain = FallbackChain(FIRST, CallOptions())
    assert names(chain, retry=True) == ["first", "first", "first", "last", "last"]
    assert chain.final_action == SORRY
    assert chain.is_last


def test_an_agent_that_would_be_refused_again_is_not_tried_again() -> None:
    assert names(FallbackChain(FIRST, CallOptions()), retry=False) == ["first", "last"]


def test_without_another_agent_the_final_action_is_all_there_is() -> None:
    chain = FallbackChain(Agent(engine=ENGINE, fallback=Transfer("+15550001111")), CallOptions())
    assert chain.advance(retry=True, within=60) is None
    assert chain.final_action == Transfer("+15550001111")


def test_a_failing_engine_gets_pauses_that_grow_and_the_next_agent_gets_none() -> None:
    chain = FallbackChain(FIRST, CallOptions())
    first, second = chain.advance(retry=True, within=60), chain.advance(retry=True, within=60)
    assert first is not None
    assert second is not None
    assert 0.15 < first < 0.35 < second < 0.7
    assert chain.advance(retry=True, within=60) == 0


def test_a_conversation_that_worked_is_tried_again_at_once_and_its_tries_come_back() -> None:
    chain = FallbackChain(Agent(engine=ENGINE, fallback=Retry(times=1)), CallOptions())
    for _ in range(100):  # a loss every two minutes, for hours
        assert chain.advance(retry=True, worked_for=120, within=2.5) == 0
    assert chain.advance(retry=True, worked_for=1, within=2.5) is None


def test_what_an_engine_asks_to_wait_is_waited_within_the_time_that_is_left() -> None:
    alone = Agent(engine=ENGINE, fallback=Retry(times=2))
    assert FallbackChain(alone, CallOptions()).advance(retry=True, retry_after=2, within=2.5) == 2
    assert FallbackChain(alone, CallOptions()).advance(retry=True, retry_after=3, within=2.5) is None
    with_reserve = FallbackChain(FIRST, CallOptions())
    assert with_reserve.advance(retry=True, retry_after=2, within=2.5) == 0
    assert with_reserve.agent.name == "last"  # it keeps its share


def test_the_time_is_shared_among_those_who_may_still_be_tried() -> None:
    chain = FallbackChain(FIRST, CallOptions())
    assert chain.share(5) == 1
    chain.advance(retry=False, within=60)
    assert chain.share(4) == 2


def test_the_options_of_the_call_hold_for_each_agent() -> None:
    chain = FallbackChain(FIRST, CallOptions(first_message="Hello, Ann."))
    chain.advance(retry=False, within=60)
    assert chain.agent.first_message == "Hello, Ann."


class OtherVendor(FakeEngine):
    name = "other"


def test_a_voice_of_the_call_is_for_engines_of_its_vendor_and_a_language_for_all() -> None:
    third = Agent(engine=FakeEngine(), name="third", language="fr", voice="v-third")
    second = Agent(engine=OtherVendor(), name="second", voice="v-second", fallback=third)
    first = Agent(engine=FakeEngine(), name="first", language="en", voice="v-first", fallback=second)
    chain = FallbackChain(first, CallOptions(language="it", voice="v-call", engine_options={"branch": "b1"}))
    agents = [chain.agent]
    while chain.advance(retry=False, within=60) is not None:
        agents.append(chain.agent)
    assert [(agent.name, agent.language, agent.voice, agent.engine_options) for agent in agents] == [
        ("first", "it", "v-call", {"branch": "b1"}),
        ("second", "it", "v-second", {}),
        ("third", "it", "v-call", {"branch": "b1"}),
    ]
