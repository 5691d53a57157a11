"""A session that will end is followed by another one in a quiet moment: no greeting, and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import anyio
import pytest

from patter_core.agent import Agent, Fallback, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.handle import PhoneCall
from patter_core.call.timeouts import Deadlines
from patter_core.engine import ConversationSetup, EngineCapability, EngineSession
from patter_core.errors import EngineLost
from patter_core.events import (
    EngineEvent,
    ResponseDone,
    ResponseStart,
    SessionExpiring,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Progress
from patter_core.telephony.outcome import HangUp
from patter_core.testing.fakes import FakeEngine, FakeSession
from tests.calls import CallScene, new_call
from tests.virtual_time import VIRTUAL

pytestmark = pytest.mark.anyio

QUIET = AudioChunk(ULAW_8000.silence * 160, ULAW_8000)
LOUD = AudioChunk(bytes([0x80, 0x00]) * 80, ULAW_8000)
SECOND = AudioChunk(bytes(range(250)) * 32, ULAW_8000)


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL


class Knowing(FakeEngine):
    """Takes the history; it can be down."""

    capabilities: ClassVar[frozenset[EngineCapability]] = FakeEngine.capabilities | {EngineCapability.HISTORY}

    def __init__(self) -> None:
        super().__init__(before_open=self._fail)
        self.tries = 0
        self.is_down = False

    async def _fail(self) -> None:
        self.tries += 1
        if self.is_down:
            raise EngineLost("Out of order.", retry=True)


class Scene(CallScene):
    """A call in the time of its loop, whose agent has greeted and was heard."""

    within = 10_000

    def __init__(self, fallback: Fallback | None = None, *, engine: Knowing | None = None) -> None:
        self.knowing = engine or Knowing()
        super().__init__(self.knowing)
        self.call = new_call(
            self.engine,
            agent=Agent(
                engine=self.engine,
                first_message="Good morning.",
                resume_message="Where were we?",
                fallback=fallback or HangUp(),
            ),
            carrier=self.carrier,
            put=self.records.append,
            config=HostConfig(deadlines=Deadlines(carrier_silence=10_000, reply=0)),
            clock=anyio.current_time,
        )

    async def greeted(self) -> FakeSession:
        session = await self.live()
        await self.speak(session, "Good morning.")
        return session

    async def gives(self, session: FakeSession, *events: AudioChunk | EngineEvent) -> None:
        for event in events:
            session.give(event)
        await anyio.wait_all_tasks_blocked()

    async def caller(self, frame: AudioChunk, seconds: float) -> None:
        """Frames of the caller, in the time that they take."""
        for _ in range(round(seconds * 50)):
            self.socket.say("audio", frame.base64)
            await anyio.sleep(0.02)

    def heard_by(self, session: FakeSession) -> list[bytes]:
        return [chunk.data for chunk in session.received]

    async def hears(self, session: FakeSession) -> bool:
        """True if that session is the one that hears the caller and is heard."""
        before = len(session.received)
        self.socket.say("audio", QUIET.base64)
        await anyio.wait_all_tasks_blocked()
        return len(session.received) == before + 1


async def test_in_a_quiet_moment_another_session_takes_over_that_knows_everything_and_says_nothing() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SessionExpiring(60))
        second = await scene.engine.session(1)
        await anyio.sleep(0.2)
        assert await scene.hears(second)
        assert first.closed
        setup = second.setup
        assert (setup.first_message, setup.resumed, second.context) == ("", True, [])
        assert [item.text for item in setup.history if isinstance(item, AgentSaid)] == ["Good morning."]
        await scene.gives(second, ResponseStart(), SECOND, TranscriptOutput("And now?"), ResponseDone())
        await scene.socket.wait_for("audio", 2)
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"
    assert scene.end.metrics.errors == 0


@pytest.mark.parametrize(
    "what", ["the agent speaks", "the caller speaks", "an answer is due", "a tool runs", "ours runs"]
)
async def test_it_waits_until_both_are_silent_and_no_tool_runs(what: str) -> None:
    scene = Scene()
    records = scene.call.context.records
    tool = ToolUsed(id="c1", name="book", arguments="{}", started_ms=0.0)
    begins: dict[str, list[AudioChunk | EngineEvent]] = {
        "the agent speaks": [ResponseStart(), SECOND],
        "the caller speaks": [SpeechStarted(0)],
        "an answer is due": [TranscriptInput("And now?")],
        "a tool runs": [ToolCall("c1", "book")],
    }
    ends: dict[str, list[AudioChunk | EngineEvent]] = {
        "the agent speaks": [ResponseDone()],
        "the caller speaks": [SpeechStopped(0)],
        "a tool runs": [ToolResult("c1", "book")],
    }
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, *begins.get(what, []))
        if what == "ours runs":
            records.use_tool(tool)
        await scene.gives(first, SessionExpiring(60))
        second = await scene.engine.session(1)
        await anyio.sleep(4 if what == "an answer is due" else 10)
        assert await scene.hears(first)
        assert not second.received
        await scene.gives(first, *ends.get(what, []))
        records.use_tool(ToolUsed(id="c1", name="book", arguments="{}", started_ms=0.0, state=ToolState.DONE))
        if what == "the agent speaks":
            scene.socket.say("mark", scene.socket.of("mark")[-1].value)
        await anyio.sleep(5.5)  # no answer came
        assert await scene.hears(second)
        scene.socket.say("stop")


async def test_a_transcript_that_comes_after_its_answer_keeps_it_from_nothing() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SpeechStopped(0), ResponseStart(), SECOND, ResponseDone())
        await scene.gives(first, TranscriptInput("And now?"), SessionExpiring(60))
        second = await scene.engine.session(1)
        scene.socket.say("mark", scene.socket.of("mark")[-1].value)
        await anyio.sleep(2)
        assert await scene.hears(second)
        scene.socket.say("stop")


@pytest.mark.parametrize("comes", [True, False])
async def test_it_waits_for_the_words_of_the_caller_for_a_while_though_they_were_answered(*, comes: bool) -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SpeechStopped(0), ResponseStart(), SECOND, ResponseDone())
        await scene.gives(first, SessionExpiring(60))
        second = await scene.engine.session(1)
        scene.socket.say("mark", scene.socket.of("mark")[-1].value)
        await anyio.sleep(3)
        assert await scene.hears(first)
        if comes:
            await scene.gives(first, TranscriptInput("And now?"))
        await anyio.sleep(0.5 if comes else 3)
        assert await scene.hears(second)
        assert any("And now?" in text for text in second.context) == comes
        scene.socket.say("stop")


class Steady(Knowing):
    """Must be fed at real-time pace."""

    capabilities: ClassVar[frozenset[EngineCapability]] = Knowing.capabilities | {EngineCapability.STEADY_INPUT}


async def test_one_that_needs_steady_input_gets_silence_until_it_takes_over_and_its_times_count_it() -> None:
    scene = Scene(engine=Steady())
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(120))
        second = await scene.engine.session(1)
        waited = -anyio.current_time()
        await anyio.sleep(100)
        waited += anyio.current_time()
        silence = sum(chunk.duration_ms for chunk in second.received)
        assert waited * 1000 - 200 <= silence <= waited * 1000 + 100
        assert max(chunk.duration_ms for chunk in second.received) <= 100
        assert set(b"".join(scene.heard_by(second))) == set(ULAW_8000.silence)
        await scene.gives(first, SpeechStopped(0))
        await anyio.sleep(6)
        assert first.closed
        given = sum(chunk.duration_ms for chunk in second.received)
        began = anyio.current_time()
        await scene.gives(second, TranscriptInput("And now?", started_ms=given - 500))
        said = next(item for item in scene.call.context.records.history.items if isinstance(item, UserSaid))
        assert said.started_ms == pytest.approx(scene.call.context.records.unix_ms() - 500, abs=150)
        assert anyio.current_time() == began
        scene.socket.say("stop")


async def test_one_that_fails_while_it_waits_is_closed_and_disturbs_nothing() -> None:
    class Broken(FakeSession):
        def send_audio(self, chunk: AudioChunk) -> None:
            raise SystemExit(3)

    class SecondIsBroken(Steady):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            return (Broken if self.sessions else FakeSession)(setup, ULAW_8000, ULAW_8000)

    scene = Scene(engine=SecondIsBroken())
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(120))
        second = await scene.engine.session(1)
        await anyio.sleep(5)
        assert second.closed
        assert await scene.hears(first)
        scene.socket.say("stop")
    assert scene.end.metrics.errors == 0


async def test_what_one_has_used_that_never_talked_is_billed() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(120))
        second = await scene.engine.session(1)
        second.rest = [Usage(part="engine", vendor="fake", amounts={"seconds": 7.0})]
        await anyio.sleep(7)
        scene.socket.say("stop")
    used = [record.event for record in scene.records if isinstance(record.event, Usage)]
    assert [usage.amounts for usage in used] == [{"seconds": 7.0}]


async def test_two_seconds_before_the_end_it_takes_over_whatever_goes_on() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(20))
        second = await scene.engine.session(1)
        await anyio.sleep(17.9)
        assert await scene.hears(first)
        await anyio.sleep(0.2)
        assert await scene.hears(second)
        scene.socket.say("stop")


async def test_what_was_said_meanwhile_is_told_to_the_one_that_takes_over() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(20))
        second = await scene.engine.session(1)
        await scene.gives(first, SpeechStopped(0), TranscriptInput("A table for two."))
        await anyio.sleep(6)
        assert await scene.hears(second)
        (told,) = second.context
        scene.socket.say("stop")
    assert told.endswith("\nUser: A table for two.")
    assert "Good morning" not in told
    assert not any(isinstance(item, UserSaid) for item in second.setup.history)


async def test_of_a_word_that_has_just_begun_nothing_is_lost() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SessionExpiring(60), ToolCall("c1", "book"))
        second = await scene.engine.session(1)
        await scene.caller(QUIET, 3)
        await scene.gives(first, ToolResult("c1", "book"))
        await scene.caller(QUIET, 2)
        await scene.caller(LOUD, 6)  # the engine has not noticed it, and no answer is awaited any more
        assert not second.received  # but loudness tells
        await scene.caller(QUIET, 10)
        both = scene.heard_by(first), scene.heard_by(second)
        scene.socket.say("stop")
    count = 21 * 50
    assert len(both[0]) + len(both[1]) == count + 50  # the last second twice
    assert both[0][-50:] == both[1][:50]
    assert [*both[0], *both[1][50:]].count(LOUD.data) == 300


async def test_a_successor_that_cannot_be_opened_is_tried_again_and_costs_no_retry() -> None:
    scene = Scene(fallback=Retry(times=1))
    async with scene.running():
        first = await scene.greeted()
        scene.knowing.is_down = True
        await scene.gives(first, SessionExpiring(60))
        await anyio.sleep(20)
        assert scene.knowing.tries > 3
        assert await scene.hears(first)
        scene.knowing.is_down = False
        await anyio.sleep(6)
        second = scene.engine.sessions[1]
        assert await scene.hears(second)
        second.fail(EngineLost("gone", retry=True))  # the retry is still there
        third = await scene.engine.session(2)
        await anyio.sleep(0.2)
        assert await scene.hears(third)
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_without_a_successor_the_end_of_the_session_is_a_loss_like_others() -> None:
    scene = Scene(fallback=Retry(times=1))
    async with scene.running():
        first = await scene.greeted()
        scene.knowing.is_down = True
        await scene.gives(first, SessionExpiring(10))
        await anyio.sleep(10)
        scene.knowing.is_down = False
        first.fail(EngineLost("The session has expired.", retry=True))
        second = await scene.engine.session(1)
        scene.socket.say("stop")
    assert (second.setup.first_message, second.setup.resumed) == ("Where were we?", True)


async def test_a_session_that_is_lost_before_its_time_is_followed_by_the_one_that_is_open() -> None:
    scene = Scene()  # without a retry
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(60))
        second = await scene.engine.session(1)
        first.fail(EngineLost("gone", retry=True))
        await anyio.sleep(0.1)
        assert await scene.hears(second)
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_when_the_agent_ends_the_call_meanwhile_it_is_over_and_nothing_stays_open() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(60))
        second = await scene.engine.session(1)
        first.end()
    await anyio.wait_all_tasks_blocked()
    assert scene.end.reason == "agent_hung_up"
    assert second.closed
    assert not second.received


async def test_a_call_that_ends_meanwhile_leaves_nothing_open() -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(60))
        second = await scene.engine.session(1)
        scene.socket.say("stop")
    await anyio.wait_all_tasks_blocked()
    assert first.closed
    assert second.closed


async def test_on_hold_nothing_takes_over_and_another_session_follows_the_hold() -> None:
    scene = Scene()
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    scene.call.context.renew_accept()
    handle = PhoneCall(scene.call)
    async with scene.running():
        first = await scene.greeted()
        await handle.hold()
        await scene.gives(first, SessionExpiring(60))
        second = await scene.engine.session(1)
        await anyio.sleep(59)
        assert not first.closed
        assert second.closed
        first.fail(EngineLost("The session has expired.", retry=True))
        await anyio.sleep(60)
        await handle.resume()
        third = await scene.engine.session(2)
        await anyio.sleep(0.1)
        assert await scene.hears(third)
        scene.socket.say("stop")
    assert third.setup.first_message == "Where were we?"


async def test_a_hold_that_ends_in_time_only_delays_it() -> None:
    scene = Scene()
    scene.call.context.renew_accept()
    handle = PhoneCall(scene.call)
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SpeechStarted(0), SessionExpiring(60))
        second = await scene.engine.session(1)
        await handle.hold()
        await scene.gives(first, SpeechStopped(0))
        await anyio.sleep(20)
        assert not second.received
        await handle.resume()
        await anyio.sleep(0.2)
        assert await scene.hears(second)
        scene.socket.say("stop")


@pytest.mark.parametrize("error", [SystemExit(1), BaseException("of its own"), asyncio.CancelledError()], ids=repr)
async def test_whatever_comes_out_of_the_engine_meanwhile_the_call_goes_on(error: BaseException) -> None:
    class Wild(Knowing):
        async def open(self, setup: ConversationSetup) -> EngineSession:
            if setup.resumed and not self.tries > 2:
                self.tries += 1
                raise error
            return await super().open(setup)

    scene = Scene(engine=Wild())
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SessionExpiring(60))
        await anyio.sleep(10)
        assert len(scene.engine.sessions) == 2
        assert await scene.hears(scene.engine.sessions[1])
        scene.socket.say("stop")


async def test_a_successor_that_hangs_is_given_up_and_another_one_is_opened() -> None:
    class Hanging(Knowing):
        async def open(self, setup: ConversationSetup) -> EngineSession:
            self.tries += 1
            if self.tries == 2:
                await anyio.sleep_forever()
            return await super().open(setup)

    scene = Scene(engine=Hanging())
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SessionExpiring(60))
        await anyio.sleep(10)
        assert await scene.hears(scene.engine.sessions[1])
        scene.socket.say("stop")


@pytest.mark.parametrize("seconds", [float("nan"), -1.0, 0.0, float("inf"), 1e300])
async def test_a_time_that_makes_no_sense_does_no_harm(seconds: float) -> None:
    scene = Scene()
    async with scene.running():
        first = await scene.greeted()
        await scene.gives(first, SessionExpiring(seconds))
        await anyio.sleep(1)
        assert await scene.hears(scene.engine.sessions[-1])
        assert len(scene.engine.sessions) == (2 if seconds > 0 else 1)
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_sessions_that_all_end_at_once_do_not_open_one_after_the_other_without_end() -> None:
    class Fleeting(Knowing):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            session = super().new_session(setup)
            session.give(SessionExpiring(60))
            return session

    scene = Scene(engine=Fleeting())
    async with scene.running():
        await scene.live()
        await anyio.sleep(30)
        assert len(scene.engine.sessions) == 6
        assert await scene.hears(scene.engine.sessions[-1])
        scene.socket.say("stop")


async def test_it_is_renewed_again_and_again_and_said_twice_it_is_renewed_once() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.greeted()
        for number in range(1, 6):
            await scene.gives(session, SessionExpiring(60), SessionExpiring(50))
            session = await scene.engine.session(number)
            await anyio.sleep(600)
            assert await scene.hears(session)
        assert len(scene.engine.sessions) == 6
        scene.socket.say("stop")
    assert all(one.closed for one in scene.engine.sessions)
    assert scene.end.metrics.errors == 0
