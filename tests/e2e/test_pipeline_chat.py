"""Calls whose agent thinks by chat completions: tools, interruptions and a server that fails, over real sockets."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from patter_core import Patter
from patter_core.agent import Agent
from patter_core.events import Interruption, ToolCall, ToolResult, Usage
from patter_core.tools.tool import Tool
from patter_openai.testing.chat import OLLAMA, OPENAI, Manners, OpenAIChatEmulator, Refusal
from patter_pipeline.testing import Ending
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.pipeline_scene import Scene, calling
from tests.polling import until

pytestmark = pytest.mark.anyio

CARRIERS = pytest.mark.parametrize("carrier", [TwilioEmulator, TelnyxEmulator], ids=["twilio", "telnyx"])


def agent(scene: Scene, chat: OpenAIChatEmulator, *tools: Tool | Callable[..., object]) -> Callable[[Patter], Agent]:
    def make(phone: Patter) -> Agent:
        return phone.agent(
            stt=scene.stt.part(),
            llm=chat.part(),
            tts=scene.tts.part(),
            system_prompt="You take bookings.",
            first_message="Hello there.",
            tools=list(tools),
        )

    return make


@CARRIERS
@pytest.mark.parametrize("manners", [OPENAI, OLLAMA], ids=lambda manners: manners.name)
async def test_an_agent_uses_its_tools_and_answers(
    carrier: type[TwilioEmulator | TelnyxEmulator], manners: Manners
) -> None:
    def free_tables(people: int) -> str:
        """Finds free tables.

        Args:
            people: how many come.
        """
        return f"two tables for {people}"

    scene = Scene(carrier())
    async with OpenAIChatEmulator(manners) as chat, calling(scene, agent(scene, chat, free_tables)):
        await scene.hears("Hello there.")
        calls = [ToolCall(f"call_{people}", "free_tables", f'{{"people": {people}}}') for people in (2, 3)]
        chat.answer(*calls)
        chat.answer("There are ", "two.")
        await scene.say("Is there a table?")
        await scene.hears("There are two.")
        assert sorted(result.result for result in scene.of(ToolResult)) == ["two tables for 2", "two tables for 3"]
        *_, second = chat.requests()
        roles = [message.role for message in second.messages]
        assert roles == ["system", "user", "assistant", "user", "assistant", "tool", "tool"]
        assert [message.content for message in second.messages[-2:]] == ["two tables for 2", "two tables for 3"]
    billed = [usage for usage in scene.of(Usage) if usage.part == "llm"]
    assert len(billed) == 2
    assert all(usage.cost is not None for usage in billed)
    assert not scene.problems


async def test_an_interruption_gives_the_answer_up_and_the_model_is_told() -> None:
    scene = Scene(TwilioEmulator())
    async with OpenAIChatEmulator() as chat, calling(scene, agent(scene, chat)):
        await scene.hears("Hello there.")
        chat.answer("We are open from six in the evening until midnight. ", "On Sundays ", ending=Ending.STALL)
        await scene.say("When do you open?")
        await until(lambda: any("We are" in text for text in scene.tts.given))
        await anyio.sleep(1.5)
        chat.answer("Goodbye.")
        await scene.say("No, wait, stop.")
        await chat.until_given_up()
        await scene.told(Interruption)
        await scene.hears("Goodbye.")
        *_, heard, last = chat.requests()[-1].messages
        assert heard.role == "assistant"
        assert "We are open from six in the evening until midnight.".startswith(heard.content or "-")
        assert "interrupted you" in (last.content or "")
        assert (last.content or "").endswith("No, wait, stop.")


async def test_a_refusal_that_passes_is_not_noticed() -> None:
    scene = Scene(TwilioEmulator())
    async with OpenAIChatEmulator() as chat, calling(scene, agent(scene, chat)):
        await scene.hears("Hello there.")
        chat.refusals = [Refusal(status=503), Refusal(status=429, headers={"retry-after-ms": "50"})]
        await scene.say("Hello?")
        await scene.hears("Yes.")
        assert len(chat.asked) == 3
