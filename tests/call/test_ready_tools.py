"""The tools that come with Patter."""

from __future__ import annotations

import msgspec
import pytest

from patter_core.call.ready_tools import collect_keys_tool, hang_up_tool, press_keys_tool, transfer_tool
from patter_core.call.timeouts import Deadlines
from patter_core.errors import ConfigurationError
from patter_core.events import ResponseDone, ResponseStart, ToolCall
from patter_core.tools import Tool
from tests.call.test_tool_uses import Scene
from tests.polling import until

pytestmark = pytest.mark.anyio

COLLEAGUE = "+15550007777"
QUICK = Deadlines(last_word=1.0)


def properties(tool: Tool) -> object:
    return tool.spec.parameters["properties"]


def test_an_agent_is_told_names_of_destinations_and_no_number() -> None:
    tool = transfer_tool({"sales": COLLEAGUE, "support": "sip:help@example.org"})
    assert properties(tool) == {"to": {"enum": ["sales", "support"]}}
    assert COLLEAGUE not in msgspec.json.encode(tool.spec).decode()
    assert COLLEAGUE not in repr(tool)
    assert tool.spec.name == "transfer_call"
    assert transfer_tool({"sales": COLLEAGUE}, name="pass_on", description="To sales.").spec.description == "To sales."


@pytest.mark.parametrize("destinations", [{}, {"sales": "0900 1234"}])
def test_destinations_must_be_numbers(destinations: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        transfer_tool(destinations)


def test_none_of_them_asks_for_what_is_filled_in() -> None:
    assert properties(hang_up_tool()) == properties(collect_keys_tool(4)) == {}
    keys = properties(press_keys_tool())
    assert isinstance(keys, dict)
    assert list(keys) == ["keys"]
    assert [tool.spec.name for tool in (hang_up_tool(), press_keys_tool(), collect_keys_tool(4))] == [
        "hang_up",
        "press_keys",
        "collect_keys",
    ]
    assert "conversation is over" in hang_up_tool().spec.description
    assert hang_up_tool(description="Leave.").spec.description == "Leave."
    assert collect_keys_tool(4, timeout=40.0).timeout > 40.0


async def use(scene: Scene, name: str, arguments: str = "{}") -> str:
    """Uses a tool, with an answer of the agent that says nothing."""
    session = await scene.engine.session()
    count = len(session.results)
    session.give(ToolCall(f"t{count}", name, arguments))
    result = (await scene.results(session, count + 1))[count]
    session.give(ResponseStart())
    session.give(ResponseDone())
    return result.result


async def test_the_agent_hangs_up() -> None:
    scene = Scene([hang_up_tool()], deadlines=QUICK)
    async with scene.running():
        await scene.live()
        assert "ends as soon as" in await use(scene, "hang_up")
    assert scene.end.reason == "agent_hung_up"


async def test_the_agent_transfers_to_names_only() -> None:
    scene = Scene([transfer_tool({"sales": COLLEAGUE})], deadlines=QUICK)
    async with scene.running():
        await scene.live()
        for wrong in ("+19005550000", COLLEAGUE, "boss"):
            assert "Wrong arguments" in await use(scene, "transfer_call", f'{{"to":"{wrong}"}}')
        assert not scene.carrier.commands
        assert COLLEAGUE not in await use(scene, "transfer_call", '{"to":"sales"}')
    assert scene.end.reason == "transferred"
    assert scene.carrier.commands == [f"transfer leg-1 {COLLEAGUE} "]


async def test_the_agent_presses_keys_but_not_while_the_caller_does() -> None:
    scene = Scene([press_keys_tool(), collect_keys_tool(2)], deadlines=QUICK)
    async with scene.running():
        session = await scene.live()
        assert await use(scene, "press_keys", '{"keys":"12#"}') == "The keys were pressed."
        assert "Wrong arguments" in await use(scene, "press_keys", '{"keys":"call me"}')
        session.give(ToolCall("collect", "collect_keys"))
        await until(lambda: scene.call.actions.is_collecting_keys)
        session.give(ToolCall("press", "press_keys", '{"keys":"1"}'))
        refused = (await scene.results(session, 3))[-1]
        assert refused.failed
        assert "The caller is pressing keys" in refused.result
        for digit in "47":
            scene.socket.say("dtmf", digit)
        collected = (await scene.results(session, 4))[-1]
        assert (collected.id, collected.result) == ("collect", "The caller pressed 47")
        assert not session.digits
        scene.finish()


async def test_no_keys_are_told_as_that() -> None:
    scene = Scene([collect_keys_tool(2, timeout=0.1)], deadlines=QUICK)
    async with scene.running():
        await scene.live()
        assert await use(scene, "collect_keys") == "The caller pressed no keys."
        scene.finish()
