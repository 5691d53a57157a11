"""After an interruption, an engine that keeps the conversation remembers what the caller heard, and no more.

The agent's answer is three items, sent at once or bit by bit. The caller talks over one of them. What the engine's
service keeps is compared with what the carrier's recorder played. A session that follows a loss knows these words.
"""

from __future__ import annotations

import anyio
import pytest

from patter_core import Patter
from patter_core.agent import Agent, Retry
from patter_core.audio import ULAW_8000
from patter_core.events import TranscriptCorrection, TranscriptOutput
from patter_core.server.serving import serve_app
from patter_core.testing.caller import Caller, Pause, Say, WaitForAgent
from patter_core.testing.fakes import MemorySink
from patter_core.testing.speech import CALLER_LINES
from patter_openai import wire
from patter_openai.testing import Behaviour, OpenAIRealtimeEmulator, Reply
from tests.call.ear import Ear
from tests.calls import CallScene, new_call
from tests.carriers import MakeEmulator, each_carrier
from tests.polling import until

pytestmark = pytest.mark.anyio

ITEM_MS = 3_000
VOICES = (0x11, 0x22, 0x33)
"""The only byte in the audio of each item, so that the recording tells them apart."""
FRAME_MS = 20.0
MARK_MS = 500.0
"""Of audio between two marks."""
WORDS = (
    "One two three four five six.",
    "Seven eight nine ten eleven twelve.",
    "Never heard.",
)


async def three_items(reply: Reply) -> None:
    """The first response of the agent; it says nothing more."""
    if len(reply.talk.replies) == 1:
        for voice, text in zip(VOICES, WORDS, strict=True):
            await reply.say(text, bytes([voice]) * reply.talk.output_format.size(ITEM_MS))


@each_carrier(linear=24_000)
@pytest.mark.parametrize(("heard_s", "pace"), [(1.0, 0.0), (4.2, 0.0), (1.0, 1.5)])
async def test_memory_equals_ear(emulator: MakeEmulator, heard_s: float, pace: float) -> None:
    sink = MemorySink()
    service = OpenAIRealtimeEmulator(Behaviour(agent=three_items, pace=pace))
    with anyio.fail_after(40):
        async with emulator() as carrier, service:
            format = carrier.format
            caller = Caller([WaitForAgent(heard=heard_s), Say(CALLER_LINES[1].audio(format)), Pause(1.0)], format)
            phone = Patter(carrier=carrier.carrier(), sinks=[sink])
            async with serve_app(phone.asgi(phone.agent(engine=service.engine()))) as url:
                recording = await carrier.call(f"{url}/webhooks/{carrier.carrier().name}/voice", caller)
                await sink.wait_for("call_ended")
    talk = service.conversations[0]
    kept = [talk.kept(item) for item in talk.spoken]
    remembered = [0.0 if item is None else item.ms(format) for item in kept]
    played = [format.duration_ms(bytes(recording.played).count(voice)) for voice in VOICES[: len(kept)]]
    assert heard_s * 1_000 < sum(played) < 9_000
    assert remembered == pytest.approx(played, abs=FRAME_MS)
    assert [item is None for item in kept] == [ms == 0 for ms in played]
    assert not talk.errors


@pytest.mark.parametrize(
    ("lag", "stall", "most_less"),
    [(0.0, 60.0, FRAME_MS), (0.15, 60.0, 170.0), (0.0, 4.2, FRAME_MS)],
    ids=["no lag", "150 ms of lag", "a stall"],
)
async def test_memory_is_the_log_and_what_the_next_session_knows(lag: float, stall: float, most_less: float) -> None:
    service = OpenAIRealtimeEmulator(Behaviour(agent=three_items, pace=0.0))
    scene = CallScene()
    scene.within = 30.0
    ear = scene.socket = Ear(lag, stall)
    async with service:
        agent = Agent(engine=service.engine(), fallback=Retry())
        scene.call = new_call(agent.engine, agent=agent, carrier=scene.carrier, put=scene.records.append)
        async with scene.running():
            scene.attach()
            scene.socket.say("start", "leg-1")
            talk = await service.conversation()
            await until(lambda: ear.elapsed >= 4.4)
            await service.interrupt()
            await talk.until(lambda: any(isinstance(one, wire.ItemDelete) for one in talk.messages))
            await service.fail()
            second = await service.conversation(1)
            await second.until(lambda: len(second.told.all) >= 2)
            scene.socket.say("stop")
    first, cut, last = (talk.kept(item) for item in talk.spoken)
    assert first is not None
    assert first.ms(ULAW_8000) == 3_000
    assert last is None
    assert cut is not None
    played = ear.played_ms(bytes([VOICES[1]]))
    more = FRAME_MS if stall > 10 else MARK_MS - played % MARK_MS
    assert played - most_less <= cut.ms(ULAW_8000) <= played + more
    assert not talk.errors

    said = {event.item: event.text for event in scene.of(TranscriptOutput)}
    log = [*(said | {event.item: event.text for event in scene.of(TranscriptCorrection)}).values()]
    heard = log[1]
    assert log == [WORDS[0], heard, ""]
    assert WORDS[1].startswith(heard)
    assert 0 < len(heard) < len(WORDS[1])
    assert [told.text for told in second.told.all] == [WORDS[0], heard]
    assert not second.replies
