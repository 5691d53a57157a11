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
    while chain.advance(retry=retry):
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
    assert not chain.advance(retry=True)
    assert chain.final_action == Transfer("+15550001111")


def test_the_time_is_shared_among_those_who_may_still_be_tried() -> None:
    chain = FallbackChain(FIRST, CallOptions())
    assert chain.share(5) == 1
    chain.advance(retry=False)
    assert chain.share(4) == 2


def test_the_options_of_the_call_hold_for_each_agent() -> None:
    chain = FallbackChain(FIRST, CallOptions(variables={"name": "Ann"}))
    chain.advance(retry=False)
    assert chain.agent.variables == {"name": "Ann"}
