"""A call whose speech recognition and voice are those of ElevenLabs, on their emulators: speech, word times, usage."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core import Patter
from patter_core.audio import ULAW_8000
from patter_core.events import (
    CallEnded,
    ConversationStarted,
    Interruption,
    ResponseHeard,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from patter_core.history import AgentSaid, UserSaid
from patter_core.server.serving import serve_app
from patter_core.testing.call import EmulatedCall
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_elevenlabs.testing.stt import ElevenLabsSTTEmulator
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_elevenlabs.testing.tts.synthesis import synthesise
from patter_pipeline.testing.fakes import FakeLlmEmulator
from patter_twilio.testing import TwilioEmulator
from tests.e2e.pipeline_scene import Person
from tests.polling import until

pytestmark = pytest.mark.anyio

BOOKING, CORRECTION, *_ = CALLER_LINES
LONG = "Certainly. We have a table at 7 by the window, and another one at 9 in the garden. Which one would you like?"


def tones(text: str) -> bytes:
    """What the emulated voice says."""
    return b"".join(base64.b64decode(piece.audio) for piece in synthesise(f" {text}", ULAW_8000, None))


class Scene:
    """One call, and the services behind it."""

    call: EmulatedCall

    def __init__(self) -> None:
        self.carrier = TwilioEmulator()
        self.stt = ElevenLabsSTTEmulator(lines=CALLER_LINES)
        self.tts = ElevenLabsTTSEmulator()
        self.llm = FakeLlmEmulator()
        self.sink = MemorySink()
        self.person = Person()

    def count(self, kind: type) -> int:
        return sum(isinstance(record.event, kind) for record in self.sink.records)

    def texts(self, kind: type[TranscriptInput | TranscriptOutput | TranscriptCorrection]) -> list[str]:
        return [record.event.text for record in self.sink.records if isinstance(record.event, kind)]


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[Scene]:
    """The call, from its first ring until the caller hangs up."""
    scene = Scene()
    async with scene.carrier, scene.stt, scene.llm, scene.tts, anyio.create_task_group() as tasks:
        phone = Patter(carrier=scene.carrier.carrier(), sinks=[scene.sink])
        agent = phone.agent(
            stt=scene.stt.part(),
            llm=scene.llm.part(),
            tts=scene.tts.part(),
            system_prompt="You take bookings.",
            first_message="Good evening.",
        )
        async with serve_app(phone.asgi(agent)) as url:
            scene.call = scene.carrier.place(f"{url}/webhooks/twilio/voice", scene.person)
            tasks.start_soon(scene.call.run)
            with anyio.fail_after(60):
                await until(lambda: scene.count(ConversationStarted) > 0)
                await until(lambda: scene.count(ResponseHeard) > 0)
                yield scene
                scene.person.hang_up()
                await until(lambda: scene.count(CallEnded) > 0)


async def test_a_question_is_recognised_and_an_interrupted_answer_ends_with_the_word_that_was_heard() -> None:
    async with calling() as scene:
        scene.llm.answer(LONG)
        scene.person.say(BOOKING.audio(ULAW_8000))
        await until(lambda: BOOKING.text in scene.texts(TranscriptInput))
        await until(lambda: any("Certainly" in text for text in scene.tts.given))
        await anyio.sleep(2.0)
        scene.llm.answer("For three, then.")
        scene.person.say(CORRECTION.audio(ULAW_8000))
        await until(lambda: CORRECTION.text in scene.texts(TranscriptInput))
        await until(lambda: scene.count(ResponseHeard) == 3)
        history = scene.llm.requests[-1].history
    assert [item.text for item in history if isinstance(item, UserSaid)] == [BOOKING.text, CORRECTION.text]
    greeting, cut = (item for item in history if isinstance(item, AgentSaid))
    assert (greeting.text, greeting.interrupted) == ("Good evening.", False)
    assert cut.interrupted
    assert LONG.startswith(cut.text)
    assert 5 < len(cut.text) < len(LONG) - 10
    assert scene.texts(TranscriptCorrection) == [cut.text]
    assert scene.count(Interruption) == 1
    usages = [record.event for record in scene.sink.records if isinstance(record.event, Usage)]
    assert {usage.vendor for usage in usages if usage.cost is not None} == {"elevenlabs"}
    characters = sum(usage.amounts.get("characters", 0) for usage in usages if usage.part == "tts")
    assert characters == sum(map(len, scene.tts.given))
    seconds = sum(usage.amounts["seconds"] for usage in usages if usage.part == "stt")
    assert 7 < seconds <= len(scene.stt.heard[0]) / 8_000 + 0.1  # those after the last text are not told
    assert scene.call.recording.played.startswith(tones("Good evening. "))
    assert scene.stt.refusals == []
    assert scene.tts.refusals == []
    assert len(scene.tts.queries) == 1
