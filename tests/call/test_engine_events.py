"""What the core does for an engine that reports no turns, must be fed, or freezes; and what its reports lead to."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import ClassVar

import anyio
import pytest

from patter_core.agent import Agent, Fallback, Retry
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.engine import ConversationSetup, EngineCapability
from patter_core.errors import CallError, EngineLost
from patter_core.events import (
    ConversationStarted,
    Error,
    Interruption,
    PausePlayback,
    ResponseDone,
    ResponseHeard,
    ResponseStart,
    SpeechItem,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    Usage,
)
from patter_core.observe.metrics import EngineBill
from patter_core.telephony.outcome import HangUp
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeEngine, FakeSession, FakeSocket
from tests.calls import SPEECH, CallScene, new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)
FROZEN = Deadlines(reply=0.3, last_word=0.2)
SILENCE_100_MS = ULAW_8000.silence * 800


class Turnless(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset()


class Steady(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset({*EngineCapability}) - {
        EngineCapability.CONTINUOUS_OUTPUT
    }


class Scene(CallScene):
    def __init__(
        self,
        engine: FakeEngine | None = None,
        *,
        deadlines: Deadlines | None = None,
        limits: Limits | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        super().__init__(engine)
        self.call = new_call(
            self.engine,
            agent=Agent(engine=self.engine, fallback=fallback or HangUp()),
            carrier=self.carrier,
            put=self.records.append,
            config=HostConfig(deadlines=deadlines or Deadlines(last_word=0.2), limits=limits or Limits()),
        )


# --- turns -----------------------------------------------------------------------------------------------------------


async def test_an_engine_without_turns_gets_them_from_its_audio() -> None:
    scene = Scene(Turnless())
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        session.give(FRAME)
        await scene.told("response_done")
        session.give(FRAME)
        await until(lambda: len(scene.of(ResponseStart)) == 2)
        scene.socket.say("stop")
    assert [start.turn for start in scene.of(ResponseStart)] == ["1", "2"]
    assert scene.of(ResponseDone)[0].turn == "1"
    mark = scene.socket.of("mark")[0]  # behind the turn
    assert mark.value


async def test_a_derived_turn_that_is_interrupted_is_not_done() -> None:
    scene = Scene(Turnless())
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        session.give(Interruption())
        await scene.told("interruption")
        session.give(FRAME)
        await scene.told("response_done")
        scene.socket.say("stop")
    assert [start.turn for start in scene.of(ResponseStart)] == ["1", "2"]
    assert [done.turn for done in scene.of(ResponseDone)] == ["2"]
    assert [heard.interrupted for heard in scene.of(ResponseHeard)] == [True, False]


async def test_the_last_derived_turn_is_done_when_the_agent_ends_the_conversation() -> None:
    scene = Scene(Turnless())
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.told("response_start")
        session.end()
    assert [done.turn for done in scene.of(ResponseDone)] == ["1"]
    assert scene.end.reason == "agent_hung_up"


# --- continuous output -----------------------------------------------------------------------------------------------


class Continuous(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset({EngineCapability.CONTINUOUS_OUTPUT})


LOUD = AudioChunk(bytes([0x80, 0x00]) * 80, ULAW_8000)  # 20 ms of full scale
QUIET = AudioChunk(ULAW_8000.silence * 160, ULAW_8000)


async def test_turns_of_an_engine_that_never_stops_are_found_by_loudness() -> None:
    scene = Scene(Continuous())
    async with scene.running():
        session = await scene.live()
        for chunk in (*[QUIET] * 5, *[LOUD] * 10, *[QUIET] * 41, *[LOUD] * 4, *[QUIET] * 50):
            session.give(chunk)
        await until(lambda: len(scene.of(ResponseDone)) == 2)
        scene.socket.say("stop")
    assert [start.turn for start in scene.of(ResponseStart)] == ["1", "2"]
    assert [done.turn for done in scene.of(ResponseDone)] == ["1", "2"]
    assert scene.end.metrics.turns == 2
    sent = [message.value for message in scene.socket.of("audio")]
    assert sent.count(LOUD.base64) == 14  # each sound is heard


async def test_its_silence_is_left_out_while_audio_waits_and_is_nothing_to_be_heard() -> None:
    scene = Scene(Continuous())
    async with scene.running():
        session = await scene.live()
        for _ in range(100):  # 2 s at once, as after a stall
            session.give(QUIET)
        session.give(TranscriptInput(text="Hello?"))
        await scene.told("transcript_input")
        playback = session.setup.playback
        assert (playback.audible, playback.ahead_ms <= 220) == (False, True)
        assert 10 <= len(scene.socket.of("audio")) <= 12
        assert scene.socket.of("mark") == []
        session.give(Interruption())
        session.give(TranscriptInput(text="Hello!"))
        await until(lambda: len(scene.of(TranscriptInput)) == 2)
        scene.socket.say("stop")
    assert (scene.of(Interruption), scene.of(ResponseHeard), scene.end.metrics.frames_late) == ([], [], 0)


async def test_nothing_of_it_is_kept_for_a_caller_who_is_not_here() -> None:
    scene = Scene(Continuous(), deadlines=Deadlines(last_word=0.2, media_return=8))
    async with scene.running():
        session = await scene.live()
        scene.socket.break_off()
        await scene.until(State.ENGINE_READY)
        for _ in range(50):
            session.give(LOUD)
        await scene.told("response_start")
        first, scene.socket = scene.socket, FakeSocket()
        scene.attach()
        scene.socket.say("start", "leg-1")
        await scene.until(State.LIVE)
        session.give(LOUD)
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    assert first.of("audio") == []
    assert len(scene.socket.of("audio")) == 1


async def test_silence_is_no_answer() -> None:
    scene = Scene(Continuous(), deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        session.give(TranscriptInput(text="Hello?"))
        for _ in range(25):
            session.give(QUIET)
            await anyio.sleep(0.02)
        await scene.engine.session(1)
        scene.socket.say("stop")


# --- steady input ----------------------------------------------------------------------------------------------------


async def test_an_engine_that_needs_steady_input_gets_silence_while_the_caller_sends_none() -> None:
    scene = Scene(Steady())
    async with scene.running():
        session = await scene.live()
        began = anyio.current_time()
        await session.until(lambda: len(session.received) >= 5)
        took = anyio.current_time() - began
        scene.socket.say("stop")
    assert {chunk.data for chunk in session.received} == {SILENCE_100_MS}
    assert took > 0.3  # not faster than real time
    before = len(session.received)
    await anyio.sleep(0.3)
    assert len(session.received) == before  # nothing goes on after the call


async def test_no_silence_comes_between_the_frames_of_a_caller_who_sends() -> None:
    scene = Scene(Steady())
    async with scene.running():
        session = await scene.live()
        for _ in range(30):
            scene.socket.say("audio", FRAME.base64)
            await anyio.sleep(0.02)
        frames = [chunk.data for chunk in session.received]
        scene.socket.say("stop")
    assert frames.count(FRAME.data) >= 25
    assert frames.count(SILENCE_100_MS) <= 3  # before the first frame; or this machine was stalled


async def test_a_caller_on_hold_is_silence_to_such_an_engine() -> None:
    scene = Scene(Steady())
    async with scene.running():
        session = await scene.live()
        await scene.call.actions.hold("")
        before = len(session.received)
        scene.socket.say("audio", FRAME.base64)
        await session.until(lambda: len(session.received) >= before + 3)
        assert FRAME.data not in [chunk.data for chunk in session.received]
        scene.call.hang_up()


async def test_other_engines_get_what_the_caller_says_and_nothing_else() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        await anyio.sleep(0.35)
        assert session.received == []
        scene.socket.say("stop")


# --- the user's speech, and the watch for an answer -------------------------------------------------------------------


async def test_speech_is_timed_in_the_audio_that_the_session_was_given() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for _ in range(50):
            scene.socket.say("audio", FRAME.base64)  # 1 s
        await session.until(lambda: len(session.received) == 50)
        session.give(SpeechStarted(at_ms=100))
        session.give(SpeechStopped(at_ms=600))
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    (reply,) = scene.end.metrics.speech_reply_ms
    assert 400 <= reply < 2_000


async def test_a_reply_counts_from_when_the_caller_was_heard_and_not_from_the_engines_report() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for _ in range(10):
            scene.socket.say("audio", FRAME.base64)  # 200 ms
        await session.until(lambda: len(session.received) == 10)
        await anyio.sleep(0.06)  # between two frames
        session.give(SpeechStopped(at_ms=200))
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    (reply,) = scene.end.metrics.speech_reply_ms
    assert 60 <= reply < 1_000


@pytest.mark.parametrize("said", [TranscriptInput(text="Hello?"), SpeechStopped(at_ms=0)], ids=lambda said: said.kind)
async def test_a_session_that_answers_nothing_is_opened_anew_once_without_a_retry(
    said: TranscriptInput | SpeechStopped,
) -> None:
    scene = Scene(deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        session.give(said)
        second = await scene.engine.session(1)
        await scene.until(State.LIVE)
        second.give(said)  # and this one does not answer either
    assert len(scene.of(ConversationStarted)) == 2
    (why,) = scene.of(Error)  # of the second one, the end of the call tells why it failed
    assert "failed: The engine no longer answers." in why.message
    assert session.closed
    assert (scene.end.reason, scene.end.detail.partition(".")[0]) == ("engine_failed", "The engine no longer answers")


async def test_a_frozen_session_costs_a_retry_from_the_second_time_on() -> None:
    scene = Scene(deadlines=FROZEN, fallback=Retry(times=1))
    async with scene.running():
        for number in range(3):
            session = await scene.engine.session(number) if number else await scene.live()
            await scene.until(State.LIVE)
            session.give(TranscriptInput(text="Hello?"))
    assert len(scene.of(ConversationStarted)) == 3
    assert scene.end.reason == "engine_failed"


@pytest.mark.parametrize(
    "then",
    [FRAME, ToolCall(id="1", name="look_up"), SpeechStarted(at_ms=0), Interruption()],
    ids=["audio", "a tool", "they speak on", "they interrupt"],
)
async def test_an_answer_a_tool_or_further_speech_is_waited_for_no_longer(
    then: AudioChunk | ToolCall | SpeechStarted | Interruption,
) -> None:
    scene = Scene(deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        session.give(TranscriptInput(text="Hello?"))
        session.give(then)
        await anyio.sleep(0.5)
        assert scene.call.state is State.LIVE
        scene.socket.say("stop")
    assert len(scene.of(ConversationStarted)) == 1


async def test_a_transcript_that_comes_after_the_answer_asks_for_none() -> None:
    scene = Scene(deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        for event in (SpeechStopped(at_ms=0), ResponseStart(), FRAME, ResponseDone(), TranscriptInput(text="Hello?")):
            session.give(event)
        await anyio.sleep(0.5)
        assert scene.call.state is State.LIVE
        for event in (SpeechStopped(at_ms=0), TranscriptInput(text="And?"), ResponseStart(), FRAME, ResponseDone()):
            session.give(event)
        await scene.socket.wait_for("audio", 2)
        scene.socket.say("stop")
    assert len(scene.of(ConversationStarted)) == 1
    (reply,) = scene.end.metrics.reply_ms  # from the transcript that came before its answer
    assert reply < 500
    assert scene.end.metrics.user_turns == 2


async def test_an_answer_is_due_after_the_result_of_a_tool() -> None:
    scene = Scene(deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        session.give(TranscriptInput(text="Hello?"))
        session.give(ToolCall(id="1", name="look_up"))
        session.give(ToolResult(id="1", name="look_up", result="Ada"))
        await scene.engine.session(1)
        scene.socket.say("stop")


async def test_none_is_due_on_hold_or_where_the_watch_is_off() -> None:
    scene = Scene(deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        session.give(TranscriptInput(text="One moment."))
        await scene.told("transcript_input")
        await scene.call.actions.hold("")
        await anyio.sleep(0.5)
        assert scene.call.state is State.HELD
        scene.call.hang_up()
    off = Scene(deadlines=Deadlines(reply=0, last_word=0.2))
    async with off.running():
        session = await off.live()
        session.give(TranscriptInput(text="Hello?"))
        await anyio.sleep(0.5)
        assert off.call.state is State.LIVE
        off.socket.say("stop")


async def feed(session: FakeSession, seconds: float) -> None:
    """The session gives silence, at the pace of real time."""
    for _ in range(round(seconds / 0.02)):
        session.give(QUIET)
        await anyio.sleep(0.02)


async def test_an_engine_whose_audio_never_stops_may_choose_to_say_nothing() -> None:
    scene = Scene(Continuous(), deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        session.give(TranscriptInput(text="I am only thinking aloud."))
        session.give(ToolCall(id="1", name="look_up"))
        session.give(ToolResult(id="1", name="look_up", result="Ada"))
        await feed(session, 1.0)
        assert scene.call.state is State.LIVE
        scene.socket.say("stop")
    assert len(scene.of(ConversationStarted)) == 1


async def test_it_has_frozen_when_its_audio_stops_whatever_the_caller_has_said() -> None:
    scene = Scene(Continuous(), deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        await feed(session, 0.4)
        stopped = anyio.current_time()
        await scene.engine.session(1)
        assert 0.25 <= anyio.current_time() - stopped < 1.0
        await scene.until(State.LIVE)  # and this one gives nothing at all
    assert len(scene.of(ConversationStarted)) == 2
    assert (scene.end.reason, scene.end.detail.partition(".")[0]) == ("engine_failed", "The engine no longer answers")


async def test_on_hold_and_where_the_watch_is_off_its_audio_may_stop() -> None:
    scene = Scene(Continuous(), deadlines=FROZEN)
    async with scene.running():
        await scene.live()
        await scene.call.actions.hold("")
        await anyio.sleep(0.8)
        assert scene.call.state is State.HELD
        scene.call.hang_up()
    off = Scene(Continuous(), deadlines=Deadlines(reply=0, last_word=0.2))
    async with off.running():
        await off.live()
        await anyio.sleep(0.5)
        assert off.call.state is State.LIVE
        off.socket.say("stop")
    assert len(scene.of(ConversationStarted)) == len(off.of(ConversationStarted)) == 1


async def test_a_turn_that_is_paused_after_its_end_and_goes_on_is_told_to_be_complete_once() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for event in (ResponseStart(turn="1"), SpeechItem(item="1", turn="1"), SPEECH, ResponseDone("1")):
            session.give(event)
        await scene.told("response_done")
        session.give(PausePlayback())
        for again in (SpeechItem(item="1", turn="1", offset_ms=10.0), SPEECH, ResponseDone("1")):
            session.give(again)
        marks = len(scene.socket.of("mark"))
        (*_, mark) = await scene.socket.wait_for("mark", marks + 1)
        scene.socket.say("mark", mark.value)
        await scene.told("response_heard")
        scene.socket.say("stop")
    assert scene.kinds().count("response_done") == 1
    assert scene.kinds().count("response_heard") == 1


class Watching(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = FakeEngine.capabilities | {EngineCapability.OWN_DEADLINES}


async def test_an_engine_that_knows_itself_when_it_does_not_answer_is_not_watched() -> None:
    scene = Scene(Watching(), deadlines=FROZEN)
    async with scene.running():
        session = await scene.live()
        session.give(SpeechStarted(at_ms=0.0))
        session.give(SpeechStopped(at_ms=300.0))
        await scene.told("speech_stopped")
        await anyio.sleep(0.6)
        assert scene.call.state is State.LIVE
        assert len(scene.engine.sessions) == 1
        scene.socket.say("stop")


# --- what it costs ---------------------------------------------------------------------------------------------------


def used(seconds: float, cost: str | None, model: str = "one") -> Usage:
    price = None if cost is None else Cost(Decimal(cost))
    return Usage(part="engine", vendor="acme", model=model, amounts={"seconds": seconds}, cost=price)


async def test_what_the_engine_uses_is_summed_by_vendor_and_model() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for usage in (
            used(1.5, "0.01"),
            used(2.5, "0.02"),
            used(1, "0.5", "two"),
            used(3, None, "new"),
            used(1, "9", "new"),
        ):
            session.give(usage)
        await until(lambda: len(scene.of(Usage)) == 5)
        scene.socket.say("stop")
    bill = EngineBill(part="engine", vendor="acme", model="one", amounts={"seconds": 4.0}, cost=Cost(Decimal("0.03")))
    assert scene.end.metrics.engine_bills == (
        bill,
        EngineBill(part="engine", vendor="acme", model="two", amounts={"seconds": 1}, cost=Cost(Decimal("0.5"))),
        EngineBill(part="engine", vendor="acme", model="new", amounts={"seconds": 4}, is_priced=False),
    )


async def test_what_a_session_has_used_and_not_told_is_billed_before_the_end() -> None:
    scene = Scene(fallback=Retry(times=1))
    async with scene.running():
        first = await scene.live()
        first.give(used(1.5, "0.01"))
        await scene.told("usage")
        first.rest = [used(0.5, "0.02"), TranscriptInput(text="not billed")]  # type: ignore[list-item] # a wrong kind
        first.fail(EngineLost("Gone.", retry=True))
        second = await scene.engine.session(1)
        await scene.until(State.LIVE)
        second.rest = [used(2.0, "0.03")]
        scene.socket.say("stop")
    (bill,) = scene.end.metrics.engine_bills
    assert bill.cost is not None
    assert (bill.amounts, bill.cost.amount) == ({"seconds": 4.0}, Decimal("0.06"))
    assert scene.kinds()[-2:] == ["usage", "call_ended"]
    assert not scene.of(TranscriptInput)


@pytest.mark.parametrize("fault", [SystemExit(3), asyncio.CancelledError(), TypeError("no")])
async def test_a_session_that_cannot_tell_what_it_used_is_closed_all_the_same(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Session(FakeSession):
        def unbilled(self) -> list[Usage]:
            raise fault

    class Forgetful(FakeEngine):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            return Session(setup, ULAW_8000, ULAW_8000)

    scene = Scene(Forgetful())
    async with scene.running():
        session = await scene.live()
        session.end()
    assert scene.end.reason == "agent_hung_up"
    assert session.closed
    assert "could not tell what was used last" in caplog.text


async def test_a_session_is_told_when_the_carrier_gets_the_first_audio_of_a_turn() -> None:
    told: list[str] = []

    class Session(FakeSession):
        def speaking(self, turn: str) -> None:
            told.append(turn)
            if turn == "2":
                raise SystemExit(3)

    class Listening(FakeEngine):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            return Session(setup, ULAW_8000, ULAW_8000)

    scene = Scene(Listening(), fallback=HangUp("Sorry."))
    async with scene.running():
        session = await scene.live()
        for turn in ("1", "2"):
            session.give(ResponseStart(turn=turn))
            assert told == ["1"][: int(turn) - 1]
            for _ in range(3):
                session.give(FRAME)
            session.give(ResponseDone(turn))
            await until(lambda: bool(scene.of(ResponseHeard)) or "2" in told)
    assert told == ["1", "2"]
    assert scene.end.metrics.errors == 1  # what it raised has ended the session, and no more


async def test_a_conversation_has_so_many_minutes_and_a_spoken_end() -> None:
    scene = Scene(limits=Limits(engine_minutes=0.3 / 60, after_minutes=HangUp("Time is up.")))
    async with scene.running():
        await scene.live()
    assert (scene.end.reason, scene.end.by) == ("too_long", "host")
    assert "engine_minutes" in scene.end.detail
    assert scene.carrier.commands == ["say leg-1 Time is up."]
    assert 300 <= scene.end.metrics.engine_ms < 3_000


async def test_an_engine_whose_open_session_is_billed_is_not_opened_while_it_rings() -> None:
    class Billed(FakeEngine):
        prewarm: ClassVar[bool] = False

    engine = Billed()
    call = new_call(engine, prewarm=True)
    scene = Scene(engine)
    scene.call = call
    async with scene.running():
        await anyio.sleep(0.1)
        assert engine.sessions == []
        await scene.live()
        scene.socket.say("stop")
    assert isinstance(engine.sessions[0], FakeSession)


# --- what a user has the agent do -------------------------------------------------------------------------------------


class Prompted(FakeEngine):
    capabilities: ClassVar[frozenset[EngineCapability]] = frozenset({EngineCapability.PROMPT})


async def test_an_engine_that_can_says_a_text_takes_a_message_and_is_told_of_a_hold() -> None:
    scene = Scene(Steady())
    async with scene.running():
        session = await scene.live()
        handle = PhoneCall(scene.call)
        await handle.say("One moment, please.")
        await handle.send_user_message("I am in a car.")
        await handle.hold()
        await handle.resume()
        assert (session.spoken, session.messages) == (["One moment, please."], ["I am in a car."])
        assert session.holds == [True, False]
        await handle.hang_up()


async def test_an_engine_that_cannot_is_named_with_those_that_can() -> None:
    scene = Scene(Prompted())
    async with scene.running():
        session = await scene.live()
        handle = PhoneCall(scene.call)
        with pytest.raises(CallError, match=r"fake cannot say a given text\. .*capability say, as"):
            await handle.say("One moment, please.")
        await handle.say("Ask them to wait.", exact=False)
        with pytest.raises(CallError, match="cannot take text in the caller's place"):
            await handle.send_user_message("I am in a car.")
        await handle.hold()
        assert (session.spoken, session.holds) == (["Ask them to wait."], [])
        with pytest.raises(CallError, match="live"):
            await handle.say("Ask them to wait.", exact=False)
        await handle.hang_up()
