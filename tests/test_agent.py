"""An agent on one call: the call's own options win, and nothing else of it changes."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from patter_core.agent import Agent, AgentForCall, CallOptions, Scalar
from patter_core.errors import ConfigurationError
from patter_core.testing.fakes import FakeEngine


def test_the_calls_own_options_win() -> None:
    agent = Agent(engine=FakeEngine(), first_message="Hello.", variables={"a": 1, "b": 2}, system_prompt="Be kind.")
    there = agent.on(CallOptions(first_message="Hello, Ada.", variables={"b": 3}))
    assert (there.first_message, there.system_prompt) == ("Hello, Ada.", "Be kind.")
    assert agent.on(CallOptions()) == agent
    voiced = Agent(engine=FakeEngine(), language="en", voice="v1")
    there = voiced.on(CallOptions(language="it"))
    assert (there.language, there.voice) == ("it", "v1")
    assert "Ada" not in repr(CallOptions(first_message="Hello, Ada."))


class Text(str):
    __slots__ = ()


class Optional(FakeEngine):
    call_options: ClassVar[Mapping[str, type[str | float]]] = {"branch": str, "speed": float}


def test_an_engine_without_options_of_its_own_for_one_call_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'branch' for one call.*Expected none at all"):
        Agent(engine=FakeEngine()).with_options(engine_options={"branch": "b1"})
    made = Agent(engine=Optional()).with_options(engine_options={"branch": "b1", "speed": 1.5})
    assert made.options.engine_options == {"branch": "b1", "speed": 1.5}


class Size(enum.StrEnum):
    SMALL = "small"


def test_options_for_one_call_leave_the_agent_as_it_is_and_are_a_copy() -> None:
    agent = Agent(engine=FakeEngine(), first_message="Hello.", variables={"a": 1})
    mine: dict[str, Scalar] = {"name": "Ada", "age": 36, "is_new": True, "due": 1.5, "size": Size.SMALL}
    made = agent.with_options(first_message="Hello, Ada.", variables=mine)
    mine["name"] = "Eve"
    assert made == AgentForCall(
        agent,
        CallOptions(
            first_message="Hello, Ada.",
            variables={"name": "Ada", "age": 36, "is_new": True, "due": 1.5, "size": "small"},
        ),
    )
    assert (agent.first_message, agent.variables) == ("Hello.", {"a": 1})
    assert "Ada" not in repr(made)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"first_message": 7}, "`first_message` is of the wrong kind.*Got int"),
        ({"voice": 7}, "`voice` is of the wrong kind.*Got int"),
        ({"language": "italian!"}, "`language` is not the code of a language"),
        ({"language": None}, "`language` is of the wrong kind.*Got NoneType"),
        ({"engine_options": ["branch_id"]}, "`engine_options` of one call are no mapping.*Got list"),
        ({"engine_options": {"pitch": 1}}, "engine fake has no option 'pitch' for one call.*Expected branch, speed"),
        (
            {"engine_options": {"branch": 1}},
            r"`engine_options\['branch'\]` is of the wrong kind.*Expected str.*Got int",
        ),
        ({"first_message": "\ud800"}, "`first_message` cannot be written as JSON"),
        ({"variables": lambda leg: {"caller": leg.from_number}}, r"no mapping.*phone\.agent\(variables=…\)"),
        ({"variables": [("name", "Ada")]}, "no mapping.*Got list"),
        ({"variables": {"name": None}}, r"`variables\['name'\]` is of the wrong kind.*Got NoneType"),
        ({"variables": {"name": ["Ada"]}}, r"`variables\['name'\]` is of the wrong kind.*Got list"),
        ({"variables": {7: "Ada"}}, "a name in `variables` is of the wrong kind.*Got int"),
        ({"variables": {"due": math.nan}}, r"`variables\['due'\]` is not finite"),
        ({"variables": {"due": -math.inf}}, r"`variables\['due'\]` is not finite"),
        ({"variables": {"name": Text("Ada")}}, r"`variables\['name'\]` cannot be written as JSON"),
    ],
)
def test_options_that_would_not_survive_the_way_to_another_worker_are_refused_by_name(
    options: dict[str, object], told: str
) -> None:
    with_options: Callable[..., object] = Agent(engine=Optional()).with_options
    with pytest.raises(ConfigurationError, match=told):
        with_options(**options)
