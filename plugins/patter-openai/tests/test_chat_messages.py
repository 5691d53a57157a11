"""What a model is asked: what was said and done, in messages that all servers take."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.history import AgentSaid, HistoryItem, ToolState, ToolUsed, UserSaid
from patter_core.tools.spec import ToolSpec
from patter_openai.chat import wire
from patter_openai.chat.messages import messages, tools
from patter_openai.testing.chat import LLAMA_CPP
from patter_openai.testing.chat.strictness import Asked, problem_of


def user(text: str, at: float = 0.0) -> UserSaid:
    return UserSaid(text=text, started_ms=at)


def agent(text: str, at: float = 0.0, *, interrupted: bool = False) -> AgentSaid:
    return AgentSaid(text=text, started_ms=at, interrupted=interrupted)


def tool(at: float = 0.0, result: str = "done", state: ToolState = ToolState.DONE, arguments: str = "{}") -> ToolUsed:
    return ToolUsed(id="call_1", name="f", arguments=arguments, started_ms=at, result=result, state=state)


def shown(*history: HistoryItem) -> list[tuple[str, str]]:
    """Returns roles and texts; of calls, how many there are."""

    def said(message: wire.Message) -> str:
        return f"{len(message.tool_calls)} calls" if isinstance(message.tool_calls, tuple) else message.content or ""

    return [(message.role, said(message)) for message in messages("Be kind.", history)[1:]]


def test_the_instructions_come_first_in_the_role_that_is_wanted() -> None:
    assert messages("Be kind.", [user("Hi")], role="developer")[0] == wire.Message(role="developer", content="Be kind.")
    assert [message.role for message in messages("", [user("Hi")])] == ["user"]


def test_what_was_said_is_in_the_roles_of_those_who_said_it() -> None:
    assert shown(user("Ignore all that"), agent("No."), user("Please")) == [
        ("user", "Ignore all that"),
        ("assistant", "No."),
        ("user", "Please"),
    ]


def test_the_user_and_the_assistant_take_turns_and_the_user_begins() -> None:
    (role, text), *others = shown(agent("Good evening."), agent("How are you?"), user("Fine"), user("And you?"))
    assert role == "user"
    assert "call has begun" in text
    assert others == [("assistant", "Good evening. How are you?"), ("user", "Fine\nAnd you?")]
    assert [role for role, _ in shown()] == ["user"]
    assert shown(user("Hi"), agent(""), user("")) == [("user", "Hi")]


def test_an_interrupted_answer_is_told_as_such_in_the_users_words() -> None:
    (_, _), (_, said), (role, text) = shown(user("Hi"), agent("We open at", interrupted=True), user("Stop"))
    assert said == "We open at"  # a mark in the model's own words would be said aloud by it
    assert role == "user"
    assert "interrupted you" in text
    assert text.endswith("Stop")
    last_role, last = shown(user("Hi"), agent("We open at", interrupted=True))[-1]
    assert (last_role, "interrupted you" in last) == ("user", True)
    assert "interrupted" not in str(shown(user("Hi"), agent("", interrupted=True), user("Yes")))


def test_a_tool_has_its_call_and_its_result() -> None:
    request = messages("", [user("Hi"), agent("One moment."), tool(arguments='{"x":1}')])
    _, said, result = request
    assert said.content == "One moment."
    assert isinstance(said.tool_calls, tuple)
    assert said.tool_calls[0].function == wire.FunctionCall("f", '{"x":1}')
    assert (result.role, result.content, result.tool_call_id) == ("tool", "done", said.tool_calls[0].id)


def test_tools_that_ran_at_once_were_called_at_once() -> None:
    assert shown(user("Hi"), tool(1_000), tool(1_001), tool(3_000), agent("Done."), tool(3_001)) == [
        ("user", "Hi"),
        ("assistant", "2 calls"),
        ("tool", "done"),
        ("tool", "done"),
        ("assistant", "1 calls"),
        ("tool", "done"),
        ("assistant", "1 calls"),
        ("tool", "done"),
    ]


def test_a_tool_that_runs_or_failed_says_so() -> None:
    running, failed = shown(tool(state=ToolState.RUNNING, result=""))[-1], shown(tool(state=ToolState.FAILED))[-1]
    assert "outcome is unknown" in running[1]
    assert json.loads(failed[1]) == {"error": "done"}


@pytest.mark.parametrize("arguments", ["", "{", "[]", "null", '"x"', "{}}", "\udc00"])
def test_arguments_of_the_past_are_a_json_object(arguments: str) -> None:
    request = messages("", [user("Hi"), tool(arguments=arguments)])
    assert isinstance(request[1].tool_calls, tuple)
    assert request[1].tool_calls[0].function.arguments == "{}"


def test_of_a_long_history_the_newest_whole_items_are_kept() -> None:
    history = [user("x" * 15_000, at) for at in range(9)]
    request = messages("", [*history, tool(10.0)])
    assert sum(len(message.content or "") for message in request) < 41_000
    assert [message.role for message in request] == ["user", "assistant", "tool"]


ITEMS = st.one_of(
    st.builds(user, st.text(max_size=9), st.floats(0, 200)),
    st.builds(agent, st.text(max_size=9), st.floats(0, 200), interrupted=st.booleans()),
    st.builds(tool, st.floats(0, 200), st.text(max_size=9), st.sampled_from(ToolState), st.text(max_size=9)),
)


@given(st.lists(ITEMS, max_size=12), st.text(max_size=5))
def test_any_history_is_a_request_that_a_server_takes(history: list[HistoryItem], instructions: str) -> None:
    request = list(messages(instructions, history))
    problem, _ = problem_of(Asked(model="m", messages=request, stream=True), (), LLAMA_CPP)
    tools_between = any(isinstance(item, ToolUsed) for item in history)
    assert not problem or (tools_between and "alternate" in problem)  # a user who speaks while a tool runs
    assert [message.content for message in request if message.role == "tool"] or not tools_between
    said = "".join(message.content or "" for message in request)
    assert all(item.text in said for item in history if isinstance(item, UserSaid | AgentSaid))


def test_a_tool_is_nested_and_has_a_description_if_there_is_one() -> None:
    schema: dict[str, object] = {"type": "object", "properties": {}}
    first, second = tools(
        [ToolSpec(name="f", description="Finds.", parameters=schema), ToolSpec(name="g", parameters=schema)]
    )
    assert (first.type, first.function.name, first.function.description) == ("function", "f", "Finds.")
    assert second.function == wire.FunctionTool(name="g", parameters=schema)
