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


def names(succession: FallbackChain, *, retry: bool) -> list[str]:
    told = [succession.agent.name]
    while succession.advance(retry=retry):
        told.append(succession.agent.name)
    return told


def test_each_agent_is_tried_again_as_often_as_it_says_then_the_next() -> None:
    succession = FallbackChain(FIRST, CallOptions())
    assert names(succession, retry=True) == ["first", "first", "first", "last", "last"]
    assert succession.verdict == SORRY
    assert succession.is_last


def test_an_agent_that_would_be_refused_again_is_not_tried_again() -> None:
    assert names(FallbackChain(FIRST, CallOptions()), retry=False) == ["first", "last"]


def test_without_another_agent_the_verdict_is_all_there_is() -> None:
    succession = FallbackChain(Agent(engine=ENGINE, fallback=Transfer("+15550001111")), CallOptions())
    assert not succession.advance(retry=True)
    assert succession.verdict == Transfer("+15550001111")


def test_the_time_is_shared_among_those_who_may_still_be_tried() -> None:
    succession = FallbackChain(FIRST, CallOptions())
    assert succession.share(5) == 1
    succession.advance(retry=False)
    assert succession.share(4) == 2


def test_what_the_call_asks_for_holds_for_whoever_talks() -> None:
    succession = FallbackChain(FIRST, CallOptions(variables={"name": "Ann"}))
    succession.advance(retry=False)
    assert succession.agent.variables == {"name": "Ann"}
