"""What was said and done, in the order in which it began."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_core.events import ToolCall
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_pipeline.turns.memory import Memory


def test_items_have_their_place_by_when_they_began() -> None:
    memory = Memory([UserSaid(text="before", started_ms=500.0)], epoch_ms=1_000.0)
    memory.put_agent(2, "We open at", 3.0, interrupted=True)
    memory.put_user(1, "When do you open?", 2.0)
    memory.use_tool(ToolCall("a", "look_up", "{}"), 2.5)
    memory.answer_tool(ToolCall("a", "look_up", "{}"), "nine", failed=False)
    assert memory.items() == (
        UserSaid(text="before", started_ms=500.0),
        UserSaid(text="When do you open?", started_ms=3_000.0),
        ToolUsed(id="a", name="look_up", arguments="{}", started_ms=3_500.0, result="nine", state=ToolState.DONE),
        AgentSaid(text="We open at", started_ms=4_000.0, interrupted=True),
    )


def test_an_item_is_completed_where_it_is_and_may_be_taken_out() -> None:
    memory = Memory()
    memory.put_user(1, "When do you", 1.0)
    memory.put_agent(2, "At nine.", 2.0)
    memory.put_user(1, "When do you open?", 1.0)
    assert [item.text for item in memory.items() if not isinstance(item, ToolUsed)] == ["When do you open?", "At nine."]
    memory.put_agent(2, "", 2.0)
    assert len(memory.items()) == 1
    memory.put_agent(2, "At", 2.0)
    assert len(memory.items()) == 2


def test_only_a_known_tool_has_a_result() -> None:
    memory = Memory()
    memory.answer_tool(ToolCall("x", "look_up"), "nine", failed=False)
    assert memory.items() == ()


PUTS = st.lists(st.tuples(st.sampled_from(["user", "agent"]), st.integers(0, 300), st.floats(0, 50)), max_size=400)


@given(PUTS)
def test_it_is_sorted_and_bounded_whatever_comes(puts: list[tuple[str, int, float]]) -> None:
    memory = Memory()
    for kind, n, at in puts:
        (memory.put_user if kind == "user" else memory.put_agent)(n, f"{kind} {n}", at)
    items = memory.items()
    assert [item.started_ms for item in items] == sorted(item.started_ms for item in items)
    assert len(items) == min(200, len(items))
    texts = [item.text for item in items if not isinstance(item, ToolUsed)]
    assert len(texts) == len(set(texts))


def test_the_oldest_items_go() -> None:
    memory = Memory()
    for n in range(1_000):
        memory.put_user(n, f"{n}", float(n))
    texts = [item.text for item in memory.items() if isinstance(item, UserSaid)]
    assert texts == [f"{n}" for n in range(800, 1_000)]
