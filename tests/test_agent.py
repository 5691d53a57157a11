"""An agent on one call: the call's own options win, and nothing else of it changes."""

from __future__ import annotations

from patter_core.agent import Agent, CallOptions
from patter_core.testing.fakes import FakeEngine


def test_the_calls_own_options_win() -> None:
    agent = Agent(engine=FakeEngine(), first_message="Hello.", variables={"a": 1, "b": 2}, system_prompt="Be kind.")
    there = agent.on(CallOptions(first_message="Hello, Ada.", variables={"b": 3}))
    assert (there.first_message, there.system_prompt) == ("Hello, Ada.", "Be kind.")
    assert agent.on(CallOptions()) == agent
    assert "Ada" not in repr(CallOptions(first_message="Hello, Ada."))
