"""Calls whose agent listens and speaks by Deepgram: recognition of both protocols, a voice without word times."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core import Patter
from patter_core.agent import Agent
from patter_core.events import Error, Interruption, TranscriptInput, Usage
from patter_core.history import AgentSaid
from patter_deepgram.testing import DeepgramSTTEmulator, DeepgramTTSEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.pipeline_scene import LINE, LONG, Scene, calling
from tests.polling import until

pytestmark = pytest.mark.anyio


class DeepgramScene(Scene):
    """A call with a made-up model between Deepgram's parts."""

    def __init__(self, carrier: TwilioEmulator | TelnyxEmulator, model: str) -> None:
        super().__init__(carrier)
        self.ears = DeepgramSTTEmulator(model)
        self.voice = DeepgramTTSEmulator()

    async def say(self, text: str, *, speech: float = 1.0) -> None:
        self.person.say(LINE[: int(speech * 8_000)])
        await anyio.sleep(speech / 2)
        await self.ears.interim(text.split(" ", 1)[0])
        await until(lambda: not self.person.frames)
        await (self.ears.end_turn(text) if "flux" in self.ears.model else self.ears.final(text))

    def make(self, phone: Patter) -> Agent:
        return phone.agent(
            stt=self.ears.part(), llm=self.llm.part(), tts=self.voice.part(), first_message="Hello there."
        )


@contextlib.asynccontextmanager
async def talking(scene: DeepgramScene) -> AsyncIterator[None]:
    async with scene.ears, scene.voice, calling(scene, scene.make):
        await scene.hears("Hello there.")
        yield


@pytest.fixture(params=["nova-3", "flux-general-en"])
def scene(request: pytest.FixtureRequest) -> DeepgramScene:
    return DeepgramScene(TwilioEmulator(), request.param)


async def test_a_question_is_answered_and_billed(scene: DeepgramScene) -> None:
    async with talking(scene):
        scene.llm.answer("Certainly. ", "For how many?")
        await scene.say("I would like a table.")
        await scene.hears("Certainly. For how many?")
    assert [said.text for said in scene.of(TranscriptInput)] == ["I would like a table."]
    assert LINE[:8_000] in scene.ears.heard[0]  # as the carrier sent it
    assert scene.voice.given == ["Hello there.", "Certainly. For how many?"]
    bills = {usage.part: usage for usage in scene.of(Usage) if usage.vendor == "deepgram"}
    assert set(bills) == {"stt", "tts"}
    assert all(bill.cost is not None for bill in bills.values())
    assert not scene.problems
    assert not scene.of(Error)


async def test_a_caller_who_interrupts_is_heard(scene: DeepgramScene) -> None:
    async with talking(scene):
        scene.llm.answer(LONG)
        await scene.say("When are you open?")
        await until(lambda: any("We are" in text for text in scene.voice.given))
        await anyio.sleep(2.5)
        scene.llm.answer("From noon.")
        await scene.say("No, wait, on Sundays I mean.")
        await scene.hears("From noon.")
        (cut,) = [item for item in scene.history if isinstance(item, AgentSaid) and item.interrupted]
    assert LONG.startswith(cut.text)
    assert 10 < len(cut.text) < len(LONG) - 20
    assert len(scene.of(Interruption)) == 1
    assert not scene.problems


async def test_connections_that_are_lost_between_two_answers_are_not_heard() -> None:
    scene = DeepgramScene(TelnyxEmulator(), "nova-3")
    async with talking(scene):
        await scene.voice.close(1011, "NET-0001")
        await scene.ears.close(1011, "NET-0000")
        await until(lambda: len(scene.ears.connections) == 2)
        scene.llm.answer("Certainly.")
        await scene.say("I would like a table.")
        await scene.hears("Certainly.")
    assert [said.text for said in scene.of(TranscriptInput)] == ["I would like a table."]
    assert not scene.problems
