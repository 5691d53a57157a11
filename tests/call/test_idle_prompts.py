"""A caller who says nothing is asked twice, then hung up: counted when both are silent, and at no other time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest

from patter_core.agent import Agent, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.handle import PhoneCall
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.engine import ConversationSetup, EngineCapability
from patter_core.errors import CarrierRequestFailed, EngineLost
from patter_core.events import (
    PausePlayback,
    ResponseDone,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
)
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Progress
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSession
from tests.calls import CallScene, new_call
from tests.virtual_time import VIRTUAL

pytestmark = pytest.mark.anyio

ASK = "Are you still there?"
SECOND = AudioChunk(b"\x2a" * 8000, ULAW_8000)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Callable[[], asyncio.AbstractEventLoop]]]:
    return VIRTUAL


class Talker(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset(
        {EngineCapability.TURNS, EngineCapability.SPEECH, EngineCapability.SAY}
    )


class Scene(CallScene):
    """A call whose agent asks after 10 s; its carrier has no marks, so the clock says what was heard."""

    def __init__(
        self,
        engine: FakeEngine | None = None,
        carrier: FakeCarrier | None = None,
        *,
        retries: int = 0,
    ) -> None:
        super().__init__(engine or Talker(), carrier or FakeCarrier(has_marks=False))
        self.loop = asyncio.get_running_loop()
        self.call = new_call(
            self.engine,
            agent=Agent(engine=self.engine, idle_message=ASK, fallback=Retry(times=retries)),
            carrier=self.carrier,
            put=self.records.append,
            config=HostConfig(deadlines=Deadlines(carrier_silence=9_000, reply=0, last_word=0.2)),
            clock=self.loop.time,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(8_000):
            async with anyio.create_task_group() as self.tasks:
                self.tasks.start_soon(self.call.run)
                yield
                self.call.hang_up()

    async def asked_within(self, session: FakeSession, seconds: float, times: int = 1) -> float:
        """Returns how long it takes until the agent has been asked to speak that often."""
        began = self.loop.time()
        with anyio.fail_after(seconds):
            await session.until(lambda: len(session.spoken) >= times)
        return self.loop.time() - began


def speak(session: FakeSession, seconds: int = 1) -> None:
    session.give(ResponseStart())
    for _ in range(seconds):
        session.give(SECOND)
    session.give(ResponseDone())


async def test_a_silent_caller_is_asked_twice_from_the_last_audio_they_heard_and_then_hung_up() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        began = scene.loop.time()
        speak(session, 25)
        assert await scene.asked_within(session, 40) == pytest.approx(35, abs=0.5)  # 25 s of audio, 10 s of silence
        assert session.spoken == [ASK]
        speak(session, 2)
        assert await scene.asked_within(session, 20, times=2) == pytest.approx(12, abs=0.5)
        speak(session, 1)
        end = await scene.call.wait()
        assert scene.loop.time() - began == pytest.approx(35 + 12 + 11, abs=1.5)
    assert session.spoken == [ASK, ASK]
    assert (end.reason, end.by, end.detail) == (
        "host_hung_up",
        "host",
        "the caller did not answer the agent's idle messages",
    )
    assert scene.carrier.hung_up == ["leg-1"]


async def test_an_engine_that_does_not_say_it_is_not_asked_without_end() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        began = scene.loop.time()
        await scene.call.wait()
        assert scene.loop.time() - began == pytest.approx(30, abs=1)
    assert session.spoken == [ASK, ASK]


async def test_with_marks_it_counts_from_the_last_mark_however_late_it_comes() -> None:
    scene = Scene(carrier=FakeCarrier())
    async with scene.running():
        session = await scene.live()
        speak(session)
        await anyio.sleep(2.5)
        scene.socket.say("mark", scene.socket.of("mark")[-1].value)
        assert await scene.asked_within(session, 20) == pytest.approx(10, abs=0.2)


async def test_a_caller_who_answers_is_asked_twice_again_later() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for round_ in range(4):
            await scene.asked_within(session, 25, times=2 * round_ + 2)
            await anyio.sleep(3)
            session.give(SpeechStarted(0))
            session.give(SpeechStopped(300))
        assert scene.call.state is State.LIVE
    assert session.spoken == [ASK] * 8


async def press(scene: Scene, session: FakeSession) -> None:
    scene.socket.say("dtmf", "5")
    await session.until(lambda: bool(session.digits))


async def say_something(_scene: Scene, session: FakeSession) -> None:
    session.give(TranscriptInput("Hello?"))
    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("act", [press, say_something])
async def test_what_the_caller_does_starts_the_count_again(act: Callable[[Scene, FakeSession], object]) -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await anyio.sleep(9)
        await act(scene, session)  # type: ignore[misc] # coroutine functions, both
        assert await scene.asked_within(session, 30) == pytest.approx(10, abs=0.2)


async def test_it_stands_still_while_the_caller_speaks_and_counts_from_where_they_stop() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await anyio.sleep(4)
        session.give(SpeechStarted(0))
        await anyio.sleep(95)
        assert session.spoken == []
        session.give(SpeechStopped(95_000))
        assert await scene.asked_within(session, 30) == pytest.approx(10, abs=0.2)


async def test_it_stands_still_while_tools_work_until_the_last_result_is_there() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall(id="1", name="look_up"))
        session.give(ToolCall(id="2", name="book"))
        await anyio.sleep(33)
        session.give(ToolResult(id="1", name="look_up"))
        session.give(ToolResult(id="1", name="look_up"))  # told again
        await anyio.sleep(33)
        assert session.spoken == []
        session.give(ToolResult(id="2", name="book"))
        assert await scene.asked_within(session, 30) == pytest.approx(10, abs=0.2)


async def test_a_tool_whose_result_is_never_told_does_not_stop_it_for_ever() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall(id="1", name="look_up"))
        assert await scene.asked_within(session, 200) == pytest.approx(130, abs=11)


async def test_a_tool_that_the_vendor_runs_and_tells_no_result_of_stops_nothing() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.give(ToolCall(id="1", name="look_up", remote=True))
        assert await scene.asked_within(session, 30) == pytest.approx(10, abs=0.2)


async def test_it_stands_still_on_hold_and_in_a_transfer_and_begins_anew_afterwards() -> None:
    scene = Scene()
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    handle = PhoneCall(scene.call)
    async with scene.running():
        session = await scene.live()
        await anyio.sleep(9)
        await handle.hold()
        await anyio.sleep(60)
        assert session.spoken == []
        await handle.resume()
        scene.socket.say("start", "leg-1")
        assert await scene.asked_within(session, 30) == pytest.approx(10, abs=0.5)
        await anyio.sleep(9)
        scene.carrier.refusals = 1
        with pytest.raises(CarrierRequestFailed):
            await handle.transfer("+15550007777")
        assert await scene.asked_within(session, 30, times=2) == pytest.approx(10, abs=0.5)


async def test_it_stands_still_while_the_agent_is_paused_in_its_turn() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.give(ResponseStart())
        session.give(SECOND)
        await anyio.sleep(0.5)
        session.give(PausePlayback())
        await anyio.sleep(60)
    assert session.spoken == []


async def test_it_counts_from_where_the_caller_is_on_the_line_not_from_where_the_session_was_opened() -> None:
    scene = Scene()
    scene.call = new_call(
        scene.engine,
        agent=Agent(engine=scene.engine, idle_message=ASK),
        carrier=scene.carrier,
        config=HostConfig(deadlines=Deadlines(media_start=60, carrier_silence=9_000, reply=0)),
        prewarm=True,
        clock=scene.loop.time,
    )
    async with scene.running():
        session = await scene.engine.session()
        await anyio.sleep(19)
        await scene.live()
        assert await scene.asked_within(session, 30) == pytest.approx(10, abs=0.5)


async def test_a_session_that_follows_another_goes_on_asking_and_counts_on() -> None:
    scene = Scene(retries=1)
    async with scene.running():
        first = await scene.live()
        await scene.asked_within(first, 20)
        first.fail(EngineLost("Out of order.", retry=True))
        second = await scene.engine.session(1)
        await scene.asked_within(second, 20)
        await scene.call.wait()
    assert (first.spoken, second.spoken) == ([ASK], [ASK])
    assert scene.end.detail == "the caller did not answer the agent's idle messages"


async def test_an_agent_without_an_idle_message_says_nothing_of_its_own() -> None:
    scene = Scene()
    scene.call = new_call(
        scene.engine,
        carrier=scene.carrier,
        config=HostConfig(deadlines=Deadlines(carrier_silence=9_000)),
        clock=scene.loop.time,
    )
    async with scene.running():
        session = await scene.live()
        await anyio.sleep(600)
        assert scene.call.state is State.LIVE
    assert session.spoken == []


class Breaks(FakeSession):
    def say(self, text: str) -> None:
        raise SystemExit(text)


class BreakingTalker(Talker):
    def new_session(self, setup: ConversationSetup) -> FakeSession:
        return Breaks(setup, ULAW_8000, ULAW_8000)


async def test_an_engine_whose_say_raises_anything_has_failed_and_ends_its_call_alone() -> None:
    scene = Scene(BreakingTalker())
    async with scene.running():
        await scene.live()
        end = await scene.call.wait()
    assert end.reason == "engine_failed"
    assert "raised ForeignFault" in end.detail
