"""The engine's side of a call, above all where it begins before the caller's audio is here."""

from __future__ import annotations

import anyio
import anyio.abc
import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.errors import EngineRefused
from patter_core.events import Interruption, ResponseDone, SpeechStopped, TranscriptInput
from patter_core.testing.fakes import FakeEngine, FakeSession
from tests.calls import CallScene, new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

GREETING = [AudioChunk(bytes([number]) * 160, ULAW_8000) for number in range(10)]


class Scene(CallScene):
    """A call whose conversation may begin ahead; its stream comes when the test says so."""

    def __init__(self, engine: FakeEngine | None = None, *, prewarm: bool = True, media_start: float = 5.0) -> None:
        super().__init__(engine)
        self.call = new_call(
            self.engine,
            carrier=self.carrier,
            put=self.records.append,
            config=HostConfig(deadlines=Deadlines(media_start=media_start, last_word=1)),
            prewarm=prewarm,
        )

    def stream(self) -> None:
        self.attach()
        self.socket.say("start", "leg-1")

    def heard(self) -> list[bytes]:
        audio = [message.value for message in self.socket.sent if message.event == "audio"]
        return [AudioChunk.from_base64(text, ULAW_8000).data for text in audio]


async def greet(session: FakeSession) -> None:
    """The whole greeting, and the end of the turn, taken by the call."""
    for chunk in GREETING:
        session.give(chunk)
    session.give(ResponseDone())
    await anyio.wait_all_tasks_blocked()


async def test_what_the_agent_said_before_the_stream_is_heard_whole_as_it_opens() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.engine.session()
        await greet(session)
        assert scene.call.state.value == "engine ready"
        assert "media_started" not in scene.kinds()
        scene.stream()
        await scene.socket.wait_for("audio", len(GREETING))
        await scene.socket.wait_for("mark")
        assert scene.call.state.value == "live"
        assert "media_started" in scene.kinds()
        session.give(GREETING[0])  # the next turn is one of its own
        await scene.socket.wait_for("audio", len(GREETING) + 1)
        scene.socket.say("stop")
    assert scene.heard() == [chunk.data for chunk in [*GREETING, GREETING[0]]]
    assert scene.records[-1].event.kind == "call_ended"
    assert scene.call.ended is not None
    assert scene.call.ended.metrics.turns == 2
    assert scene.kinds().index("conversation_started") < scene.kinds().index("media_started")


async def test_an_agent_of_another_format_is_converted_when_it_is_heard() -> None:
    scene = Scene(FakeEngine(input_format=PCM16_16000, output_format=PCM16_16000))
    async with scene.running():
        session = await scene.engine.session()
        session.give(AudioChunk(bytes(640 * 10), PCM16_16000))
        await anyio.wait_all_tasks_blocked()
        scene.stream()
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    assert sum(map(len, scene.heard())) == pytest.approx(1600, abs=80)


async def test_the_caller_is_heard_from_their_first_word() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.engine.session()
        scene.stream()
        scene.socket.say("audio", GREETING[0].base64)
        await until(lambda: len(session.received) == 1)
        scene.socket.say("stop")
    assert [chunk.data for chunk in session.received] == [GREETING[0].data]


async def test_what_was_interrupted_before_the_stream_is_not_heard() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.engine.session()
        session.give(GREETING[0])
        session.give(Interruption())
        session.give(GREETING[1])
        await anyio.wait_all_tasks_blocked()
        scene.stream()
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    assert scene.heard() == [GREETING[1].data]


async def test_an_agent_that_has_ended_before_the_stream_is_still_heard_out() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.engine.session()
        await greet(session)
        session.end()
        await until(lambda: session.closed)
        scene.stream()
        await scene.socket.wait_for("audio", len(GREETING))
        await scene.until(State.ENDING)  # its last word waits at the carrier
        for mark in scene.socket.of("mark"):
            scene.socket.say("mark", mark.value)
        await scene.socket.wait_for("mark")
        scene.socket.say("mark", [m.value for m in scene.socket.sent if m.event == "mark"][-1])
    assert scene.call.ended is not None
    assert scene.call.ended.reason == "agent_hung_up"


async def test_a_conversation_whose_caller_never_comes_is_closed() -> None:
    scene = Scene(media_start=0.05)
    async with scene.running():
        session = await scene.engine.session()
    assert session.closed
    assert scene.call.ended is not None
    assert (scene.call.ended.reason, len(scene.engine.sessions)) == ("no_media", 1)


async def test_a_call_that_is_cancelled_closes_what_was_opened_ahead() -> None:
    scene = Scene()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.call.run)
            session = await scene.engine.session()
            tasks.cancel_scope.cancel()
    assert session.closed


async def test_an_engine_that_refuses_ahead_of_the_stream_ends_the_call_once_that_is_here() -> None:
    async def refuse() -> None:
        raise EngineRefused("No.", status=401)

    scene = Scene(FakeEngine(before_open=refuse))
    async with scene.running():
        await anyio.wait_all_tasks_blocked()
        assert scene.carrier.hung_up == []  # the carrier may not even have answered yet
        scene.stream()
    assert scene.call.ended is not None
    assert scene.call.ended.reason == "engine_failed"
    assert scene.carrier.hung_up == ["leg-1"]


async def test_without_leave_nothing_is_opened_ahead() -> None:
    scene = Scene(prewarm=False)
    async with scene.running():
        await anyio.wait_all_tasks_blocked()
        assert scene.engine.sessions == []
        scene.stream()
        await scene.engine.session()
        scene.socket.say("stop")


async def test_a_time_out_of_an_engine_that_had_all_the_time_is_a_failure_of_the_engine() -> None:
    async def time_out() -> None:
        raise TimeoutError

    scene = Scene(FakeEngine(before_open=time_out), prewarm=False)
    async with scene.running():
        scene.stream()
    assert (scene.end.reason, scene.end.detail) == ("engine_failed", "The engine was not ready in time.")


async def test_a_reply_is_timed_from_the_end_of_speech_where_the_engine_tells_it() -> None:
    scene = Scene(prewarm=False)
    async with scene.running():
        session = await scene.live()
        for _ in range(30):
            scene.socket.say("audio", GREETING[0].base64)  # 20 ms
        await session.until(lambda: len(session.received) == 30)
        session.give(SpeechStopped(at_ms=300))  # of 600
        session.give(TranscriptInput(text="Hello?"))
        session.give(GREETING[0])
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    (from_speech,) = scene.end.metrics.speech_reply_ms
    (from_transcript,) = scene.end.metrics.reply_ms
    assert 300 <= from_speech < 1_300
    assert from_transcript < from_speech - 299
