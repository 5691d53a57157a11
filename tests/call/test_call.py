"""A call as a task: live both ways or ended, told exactly once, with everything freed."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal

import anyio
import msgspec
import pytest
from starlette.types import Message

from patter_core.agent import Agent, CallOptions, Fallback, Retry
from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.history import HistoryWriter
from patter_core.call.records import Outlets
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import CallError, EngineLost, EngineRefused
from patter_core.events import (
    AudioCaptured,
    Error,
    FallbackUsed,
    Interruption,
    MediaTrouble,
    MetricsReported,
    Record,
    RecordingStarted,
    ResponseDone,
    ResponseStart,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    TransferDone,
)
from patter_core.history import UserSaid
from patter_core.media import MediaCodec, MediaEvent, MediaOpened
from patter_core.observe.metrics import CarrierBill
from patter_core.observe.trace import TraceContext
from patter_core.store import HistoryLine, history_of
from patter_core.telephony.control import Capability, LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import CarrierRates
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSession, FakeSocket, MemoryCallStore
from tests.calls import CallScene, new_call
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)
OTHER = AudioChunk(bytes(range(80, 240)), ULAW_8000)


class Scene(CallScene):
    """A call whose socket is here from the start."""

    def __init__(
        self,
        engine: FakeEngine | None = None,
        *,
        deadlines: Deadlines | None = None,
        fallback: Fallback | None = None,
        options: CallOptions | None = None,
        ring_timeout: float | None = None,
        carrier: FakeCarrier | None = None,
        put_audio: Callable[[Record], None] | None = None,
        report_every: float = 60.0,
        resume_message: str = "",
        streams: int = 0,
        history: HistoryWriter | None = None,
        several_workers: bool = False,
    ) -> None:
        super().__init__(engine, carrier)
        self.call = new_call(
            self.engine,
            leg=Leg(carrier="fake", call_id="leg-1", from_number="+15550002222", to_number="+15550001111"),
            agent=Agent(
                engine=self.engine,
                system_prompt="Be kind.",
                resume_message=resume_message,
                fallback=fallback or HangUp(),
            ),
            streams=streams,
            options=options,
            ring_timeout=ring_timeout,
            carrier=self.carrier,
            config=HostConfig(
                deadlines=deadlines or Deadlines(), several_workers=several_workers, report_every=report_every
            ),
            outlets=Outlets(
                put=(self.records.append,),
                put_audio=put_audio,
                recordings=[("tape", "shelf/call-1")] if put_audio else (),
                history=history or HistoryWriter(None),
            ),
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with super().running():
            self.attach()
            yield

    async def live(self) -> FakeSession:
        self.socket.say("start", "leg-1")
        session = await self.engine.session()
        await self.until(State.LIVE)
        return session

    async def session(self, number: int) -> FakeSession:
        """The conversation of that number, once there is one."""
        await until(lambda: len(self.engine.sessions) >= number)
        return self.engine.sessions[number - 1]


async def test_audio_crosses_both_ways_untouched_and_in_order() -> None:
    scene = Scene()
    frames = [AudioChunk(bytes([index]) * 160, ULAW_8000) for index in range(50)]
    async with scene.running():
        session = await scene.live()
        for frame in frames:
            scene.socket.say("audio", frame.base64)
            session.give(frame)
        said = await scene.socket.wait_for("audio", 50)
        scene.socket.say("stop")
    assert [message.value for message in said] == [frame.base64 for frame in frames]
    assert [chunk.data for chunk in session.received] == [frame.data for frame in frames]
    assert scene.end.metrics.frames_in == scene.end.metrics.frames_out == 50
    assert scene.end.metrics.passthrough


async def test_the_story_of_a_call_is_told_in_order() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.give(ResponseStart(text="Hello."))
        session.give(TranscriptOutput(text="Hello."))
        session.give(FRAME)
        session.give(ResponseDone())
        mark = (await scene.socket.wait_for("mark"))[0]
        scene.socket.say("mark", mark.value)
        await scene.told("response_heard")
        scene.socket.say("dtmf", "7")
        await scene.told("dtmf_received")
        session.give(TranscriptInput(text="Hi."))
        await scene.told("transcript_input")
        scene.socket.say("stop")
    assert scene.kinds() == [
        "call_announced",
        "call_answered",
        "media_started",
        "conversation_started",
        "response_start",
        "transcript_output",
        "response_done",
        "response_heard",
        "dtmf_received",
        "transcript_input",
        "call_ended",
    ]
    assert [record.sequence for record in scene.records] == list(range(1, len(scene.records) + 1))
    assert session.digits == ["7"]


async def test_barge_in_clears_the_carrier_at_once_and_says_how_much_was_heard() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for _ in range(100):
            session.give(FRAME)
        await scene.socket.wait_for("audio", 100)
        session.give(Interruption())
        session.give(ResponseDone())
        await scene.socket.wait_for("clear")
        session.give(FRAME)  # the next turn
        await scene.socket.wait_for("audio", 101)
        scene.socket.say("stop")
    events = [message.event for message in scene.socket.sent]
    assert events.index("clear") == len(events) - 2
    heard = next(record.event for record in scene.records if record.event.kind == "response_heard")
    assert heard.interrupted  # type: ignore[union-attr] # the kind says which struct it is
    assert heard.heard_ms < heard.sent_ms == 2000  # type: ignore[union-attr] # as above
    assert scene.end.metrics.interruptions == 1


async def test_what_the_caller_says_before_the_engine_is_ready_reaches_it_if_it_is_fresh() -> None:
    gate = anyio.Event()
    scene = Scene(FakeEngine(before_open=gate.wait))
    frames = [AudioChunk(index.to_bytes(2, "big") * 80, ULAW_8000) for index in range(150)]
    async with scene.running():
        scene.socket.say("start", "leg-1")
        for frame in frames:
            scene.socket.say("audio", frame.base64)
        scene.socket.say("nonsense")
        await scene.until(State.MEDIA_READY)
        await scene.told("media_trouble")  # so all frames before it have been taken
        gate.set()
        await scene.until(State.LIVE)
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("stop")
    heard = scene.engine.sessions[0].received
    assert [chunk.data for chunk in heard] == [*(frame.data for frame in frames[50:]), FRAME.data]
    assert scene.end.metrics.frames_early == 50


async def test_formats_that_differ_are_converted_both_ways() -> None:
    scene = Scene(FakeEngine(input_format=PCM16_16000, output_format=PCM16_16000))
    async with scene.running():
        session = await scene.live()
        for _ in range(10):
            scene.socket.say("audio", FRAME.base64)
            session.give(AudioChunk(b"\x00\x10" * 320, PCM16_16000))
        session.give(ResponseDone())
        await scene.socket.wait_for("mark")
        scene.socket.say("stop")
    assert {chunk.format for chunk in session.received} == {PCM16_16000}
    said = sum(AudioChunk.from_base64(m.value, ULAW_8000).size for m in scene.socket.sent if m.event == "audio")
    assert said == 1600  # 200 ms, whole: the converter's tail goes out with the end of the turn
    assert not scene.end.metrics.passthrough


async def test_when_the_agent_ends_the_call_its_last_word_is_played_first() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        session.end()
        mark = (await scene.socket.wait_for("mark"))[0]
        assert scene.kinds()[-1] != "call_ended"
        scene.socket.say("mark", mark.value)
    assert (scene.end.reason, scene.end.by) == ("agent_hung_up", "agent")
    assert scene.socket.closed
    assert session.closed
    assert scene.carrier.hung_up == ["leg-1"]


async def test_a_last_word_that_is_never_confirmed_does_not_hold_the_call() -> None:
    scene = Scene(deadlines=Deadlines(last_word=0.05))
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        session.end()
    assert scene.end.reason == "agent_hung_up"


async def test_nothing_said_means_nothing_to_wait_for() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.end()
    assert scene.end.reason == "agent_hung_up"


async def test_hanging_up_twice_is_hanging_up_once() -> None:
    scene = Scene()
    async with scene.running():
        await scene.live()
        scene.call.hang_up()
        scene.call.hang_up()
    assert (scene.end.reason, scene.end.by) == ("host_hung_up", "host")
    assert scene.carrier.hung_up == ["leg-1"]
    scene.call.hang_up()
    assert len([kind for kind in scene.kinds() if kind == "call_ended"]) == 1


async def test_a_caller_who_hangs_up_need_not_be_hung_up_on() -> None:
    scene = Scene()
    async with scene.running():
        await scene.live()
        scene.socket.say("stop")
    assert (scene.end.reason, scene.end.by) == ("caller_hung_up", "caller")
    assert scene.carrier.hung_up == []


async def test_a_socket_that_breaks_off_for_good_ends_the_call_at_the_carrier_too() -> None:
    scene = Scene(deadlines=Deadlines(media_return=0.05))
    async with scene.running():
        session = await scene.live()
        scene.socket.break_off()
    assert (scene.end.reason, scene.end.by) == ("media_lost", "carrier")
    assert "Deadlines.media_return" in scene.end.detail
    assert scene.carrier.hung_up == ["leg-1"]
    assert session.closed


async def test_a_socket_that_breaks_off_is_followed_by_another_and_the_conversation_goes_on() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.socket.break_off()
        await scene.until(State.ENGINE_READY)
        session.give(OTHER)  # while nobody is there
        second = FakeSocket()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.call.serve_media, second)
            second.say("start", "leg-1")
            (kept,) = await second.wait_for("audio")
            assert kept.value == OTHER.base64
            session.give(FRAME)
            await second.wait_for("audio", 2)
            second.say("audio", FRAME.base64)
            second.say("stop")
    assert [chunk.data for chunk in session.received] == [FRAME.data]
    assert len(scene.engine.sessions) == 1
    assert scene.kinds().count("media_started") == 2
    assert "media_paused" in scene.kinds()


async def test_an_engine_that_is_tried_again_takes_over_while_the_caller_waits() -> None:
    scene = Scene(fallback=Retry(times=1), deadlines=Deadlines(last_word=0.05))
    async with scene.running():
        first = await scene.live()
        first.fail(EngineLost("gone", retry=True))
        second = await scene.session(2)
        await scene.until(State.LIVE)
        scene.socket.say("audio", FRAME.base64)
        second.give(OTHER)
        assert (await scene.socket.wait_for("audio"))[0].value == OTHER.base64
        second.fail(EngineLost("gone again", retry=True))
    assert [chunk.data for chunk in second.received] == [FRAME.data]
    assert (scene.end.reason, scene.end.detail) == ("engine_failed", "gone again")
    assert first.closed


@pytest.mark.parametrize("fallback", [HangUp("Sorry."), Retry(then=HangUp("Sorry."))])
async def test_a_fallback_says_something_before_it_hangs_up(fallback: HangUp | Retry) -> None:
    scene = Scene(fallback=fallback)
    async with scene.running():
        session = await scene.live()
        session.fail(EngineRefused("no"))
    assert scene.carrier.commands == ["say leg-1 Sorry."]
    assert scene.call.final_action == HangUp("Sorry.")
    assert scene.of(FallbackUsed) == [FallbackUsed(say="Sorry.")]
    assert scene.kinds()[-2:] == ["fallback_used", "call_ended"]


async def test_a_carrier_that_says_no_texts_hangs_up_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Mute(FakeCarrier):
        capabilities = FakeCarrier.capabilities - {Capability.SAY}

    scene = Scene(fallback=HangUp("Sorry."), carrier=Mute())
    async with scene.running():
        session = await scene.live()
        session.fail(EngineRefused("no"))
    assert (scene.carrier.commands, scene.carrier.hung_up) == ([], ["leg-1"])
    assert scene.of(FallbackUsed) == [FallbackUsed(say="Sorry.", ok=False, detail="the carrier fake cannot say a text")]
    (record,) = [record for record in caplog.records if "HangUp" in record.getMessage()]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "the carrier fake cannot say one" in record.getMessage()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_fallback_gives_the_call_to_a_number_and_if_that_fails_hangs_up() -> None:
    for refusals in (0, 1):
        scene = Scene(fallback=Transfer("+15550003333"))
        scene.carrier.refusals = refusals
        async with scene.running():
            session = await scene.live()
            session.fail(EngineRefused("no"))
        assert scene.carrier.commands == ["transfer leg-1 +15550003333 "][refusals:]
        assert scene.carrier.hung_up == ["leg-1"] * refusals
        assert scene.of(FallbackUsed) == [FallbackUsed(to="+15550003333")]
        assert [done.ok for done in scene.of(TransferDone)] == [not refusals]
        assert scene.kinds()[-4:] == ["fallback_used", "transfer_started", "transfer_done", "call_ended"]


async def test_a_plain_hang_up_and_a_text_of_the_host_are_no_fallback() -> None:
    for fails in (True, False):
        scene = Scene()
        async with scene.running():
            session = await scene.live()
            if fails:
                session.fail(EngineRefused("no"))
            else:
                scene.call.hang_up(HangUp("Good bye."))
        assert scene.of(FallbackUsed) == []


async def test_an_agent_that_is_tried_again_is_told_what_was_said_before_and_greets_in_its_own_way() -> None:
    scene = Scene(fallback=Retry(), resume_message="Where were we?")
    async with scene.running():
        first = await scene.live()
        await scene.speak(first, "Good morning.")
        first.give(TranscriptInput(text="A table for two."))
        first.fail(EngineLost("gone", retry=True))
        second = await scene.session(2)
        await scene.until(State.LIVE)
        await until(lambda: bool(second.context))
        scene.socket.say("stop")
    assert first.setup.first_message == ""
    assert second.setup.first_message == "Where were we?"
    (told,) = second.context
    assert told.endswith("You: Good morning.\nUser: A table for two.")
    assert first.context == []


async def test_another_agent_takes_over_with_its_own_engine_and_its_own_fallback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reserve_engine = FakeEngine(input_format=PCM16_16000, output_format=PCM16_16000)
    reserve = Agent(engine=reserve_engine, name="reserve", fallback=HangUp("Sorry."))
    scene = Scene(fallback=reserve)
    async with scene.running():
        first = await scene.live()
        first.give(TranscriptInput(text="A table for two."))
        first.fail(EngineRefused("no"))
        second = await reserve_engine.session()
        await scene.until(State.LIVE)
        await until(lambda: bool(second.context))
        scene.socket.say("audio", FRAME.base64)
        second.give(AudioChunk(b"\x00\x10" * 1600, PCM16_16000))
        await scene.socket.wait_for("audio")
        second.fail(EngineRefused("no"))
    assert "A table for two." in second.context[0]
    assert [error.message for error in scene.of(Error)] == ["Agent agent on fake failed, and agent reserve goes on: no"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "Call call-1: Agent agent on fake failed: no",
        "Call call-1: Agent reserve on fake failed: no",
    ]
    assert {chunk.format for chunk in second.received} == {PCM16_16000}
    assert scene.carrier.commands == ["say leg-1 Sorry."]
    assert scene.end.reason == "engine_failed"


@pytest.mark.parametrize(("reserve", "reason"), [(True, "caller_hung_up"), (False, "engine_slow")])
async def test_an_engine_that_does_not_get_ready_leaves_time_for_what_comes_after_it(
    reserve: bool, reason: str
) -> None:
    reserve_engine = FakeEngine()
    fallback = Agent(engine=reserve_engine, name="reserve") if reserve else HangUp("Sorry.")
    scene = Scene(
        FakeEngine(before_open=anyio.sleep_forever), fallback=fallback, deadlines=Deadlines(engine_connect=0.4)
    )
    async with scene.running():
        began = anyio.current_time()
        scene.socket.say("start", "leg-1")
        if reserve:
            await reserve_engine.session()
            await scene.until(State.LIVE)
            scene.socket.say("stop")
        else:
            await scene.until(State.ENDED)
    assert anyio.current_time() - began < 1
    assert scene.end.reason == reason
    assert ("Deadlines.engine_connect" in scene.end.detail) is not reserve
    assert scene.carrier.commands == ([] if reserve else ["say leg-1 Sorry."])


async def test_the_agent_that_follows_is_named_also_where_the_engine_told_its_error() -> None:
    reserve_engine = FakeEngine()
    scene = Scene(fallback=Retry(times=1, then=Agent(engine=reserve_engine, name="reserve")))
    async with scene.running():
        for number in (1, 2):
            if number == 1:
                await scene.live()
            session = await scene.session(number)
            session.give(Error(message="Oh."))
            session.fail(EngineLost("gone", retry=True))
        await reserve_engine.session()
        scene.socket.say("stop")
    last = "Agent agent on fake failed, and agent reserve goes on: gone"
    assert [error.message for error in scene.of(Error)] == ["Oh.", "Oh.", last]


async def test_a_conversation_that_is_slow_to_close_holds_up_no_fallback_and_no_end() -> None:
    class SlowToClose(FakeSession):
        async def aclose(self) -> None:
            await anyio.sleep(2)
            await super().aclose()

    class Slow(FakeEngine):
        def new_session(self, setup: ConversationSetup) -> FakeSession:
            return SlowToClose(setup, ULAW_8000, ULAW_8000)

    reserve_engine = FakeEngine()
    scene = Scene(Slow(), fallback=Agent(engine=reserve_engine, name="reserve"))
    async with scene.running():
        first = await scene.live()
        failed_at = anyio.current_time()
        first.fail(EngineLost("gone"))
        await reserve_engine.session()
        assert anyio.current_time() - failed_at < 1
        scene.socket.say("stop")
    assert anyio.current_time() - failed_at < 1.8
    assert not first.closed
    await until(lambda: first.closed)


async def test_a_call_from_another_worker_goes_on_with_what_the_store_knows() -> None:
    store = MemoryCallStore()
    await store.append("call-1", HistoryLine("1", UserSaid(text="A table for two.", started_ms=1)))
    scene = Scene(streams=1, history=HistoryWriter(store))
    async with scene.running():
        session = await scene.live()
        await until(lambda: bool(session.context))
        scene.socket.say("stop")
    assert session.context[0].endswith("User: A table for two.")


async def test_what_is_said_is_put_into_the_store() -> None:
    store = MemoryCallStore()
    writer = HistoryWriter(store)
    scene = Scene(history=writer)
    async with scene.running():
        session = await scene.live()
        session.give(TranscriptInput(text="A table for two."))
        await scene.told("transcript_input")
        scene.socket.say("stop")
    await writer.drain()
    (item,) = history_of(await store.history("call-1"))
    assert isinstance(item, UserSaid)
    assert item.text == "A table for two."
    assert abs(item.started_ms / 1000 - time.time()) < 60


@pytest.mark.parametrize("error", [EngineRefused("No such agent."), EngineLost("The socket is gone.")])
async def test_an_engine_that_fails_ends_the_call_and_says_why(error: Exception) -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.fail(error)
    assert (scene.end.reason, scene.end.by, scene.end.detail) == ("engine_failed", "engine", str(error))
    assert scene.socket.closed
    assert session.closed


async def test_an_engine_that_refuses_at_the_start_ends_the_call() -> None:
    async def refuse() -> None:
        raise EngineRefused("No such agent.")

    scene = Scene(FakeEngine(before_open=refuse))
    async with scene.running():
        scene.socket.say("start", "leg-1")
    assert (scene.end.reason, scene.end.detail) == ("engine_failed", "No such agent.")


async def test_a_fault_of_an_engines_plugin_is_a_failure_of_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        session.fail(ZeroDivisionError("a bug"))
    assert (scene.end.reason, scene.end.by) == ("engine_failed", "engine")
    assert session.closed
    assert scene.socket.closed
    assert "ZeroDivisionError" in caplog.text


async def test_a_carrier_that_falls_silent_has_lost_the_media_and_may_bring_them_again() -> None:
    scene = Scene(deadlines=Deadlines(carrier_silence=0.5, media_return=60))
    async with scene.running():
        session = await scene.live()
        silent = scene.socket
        await silent.wait_for("mark")  # the sign of life that it was asked for
        await scene.until(State.ENGINE_READY)
        await until(lambda: silent.closed)
        scene.socket = FakeSocket()
        scene.attach()
        scene.socket.say("start", "leg-1")
        await scene.until(State.LIVE)
        session.give(FRAME)
        await scene.socket.wait_for("audio")
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"
    (trouble,) = scene.of(MediaTrouble)
    assert trouble.problem == "nothing came from the carrier, or it took nothing, for 0.5 s"


async def test_a_carrier_that_sends_nothing_while_the_caller_is_silent_returns_the_mark_and_keeps_the_call() -> None:
    scene = Scene(deadlines=Deadlines(carrier_silence=0.4, media_return=0.1))
    async with scene.running():
        await scene.live()
        for number in range(1, 4):
            marks = await scene.socket.wait_for("mark", number)
            scene.socket.say("mark", marks[-1].value)
        assert scene.call.state is State.LIVE
        scene.socket.say("stop")
    assert scene.end.reason == "caller_hung_up"


async def test_garbage_is_no_sign_of_life() -> None:
    scene = Scene(deadlines=Deadlines(carrier_silence=0.2, media_return=0.1))
    async with scene.running():
        await scene.live()
        while scene.call.state is State.LIVE:
            scene.socket.say("nonsense")
            await anyio.sleep(0.01)
    assert scene.end.reason == "media_lost"


async def test_a_carrier_that_takes_nothing_ends_the_call() -> None:
    scene = Scene(deadlines=Deadlines(carrier_silence=0.2, media_return=0.1))

    async def stuck(_message: Message) -> None:
        await anyio.sleep_forever()

    scene.socket.send = stuck  # type: ignore[method-assign, assignment] # a socket whose peer does not read
    async with scene.running():
        session = await scene.live()
        session.give(FRAME)
        while scene.call.state is State.LIVE:
            scene.socket.say("audio", FRAME.base64)
            await anyio.sleep(0.01)
    assert scene.end.reason == "media_lost"


async def test_a_stream_that_never_comes_ends_the_call() -> None:
    scene = Scene(deadlines=Deadlines(media_start=0.05))
    with anyio.fail_after(10):
        await scene.call.run()
    assert (scene.end.reason, scene.end.by) == ("no_media", "carrier")
    assert "Deadlines.media_start" in scene.end.detail
    assert scene.carrier.hung_up == ["leg-1"]


async def test_a_stream_that_may_have_gone_to_another_worker_is_left_to_that() -> None:
    scene = Scene(deadlines=Deadlines(media_start=0.05), several_workers=True)
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    with anyio.fail_after(10):
        await scene.call.run()
    assert scene.carrier.hung_up == []
    assert scene.call.may_be_on_another_worker


async def test_a_call_whose_stream_never_came_and_that_the_carrier_says_to_be_over_has_its_end() -> None:
    scene = Scene(deadlines=Deadlines(media_start=0.05), several_workers=True)
    scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
    with anyio.fail_after(10):
        await scene.call.run()
    assert scene.end.reason == "caller_hung_up"
    assert scene.carrier.hung_up == []
    assert not scene.call.may_be_on_another_worker


async def test_a_stream_of_another_call_is_turned_away() -> None:
    scene = Scene(deadlines=Deadlines(media_start=0.1))
    async with scene.running():
        scene.socket.say("start", "leg-2")
    assert scene.socket.closed
    assert scene.end.reason == "no_media"
    assert scene.engine.sessions == []


async def test_a_second_socket_is_refused() -> None:
    scene = Scene()
    async with scene.running():
        await scene.live()
        other = FakeSocket()
        with pytest.raises(CallError):
            await scene.call.serve_media(other)
        scene.socket.say("stop")


async def test_a_second_start_on_one_socket_changes_nothing() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for call_id in ("leg-1", "leg-2"):
            scene.socket.say("start", call_id)
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("stop")
    assert [chunk.data for chunk in session.received] == [FRAME.data]
    assert scene.engine.sessions == [session]
    assert scene.kinds().count("media_started") == 1


async def test_a_malformed_message_is_counted_and_told_once_and_the_call_goes_on() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        for _ in range(20):
            scene.socket.say_raw("{broken")
        scene.socket.say("audio", "no base64!")
        scene.socket.say("audio", FRAME.base64)
        scene.socket.say("stop")
    assert [chunk.data for chunk in session.received] == [FRAME.data]
    assert scene.end.metrics.faults == 21
    assert scene.kinds().count("media_trouble") == 1


async def test_a_call_that_is_cancelled_is_told_once_to_have_ended_and_frees_its_session_and_socket() -> None:
    scene = Scene()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.call.run)
            tasks.start_soon(scene.call.serve_media, scene.socket)
            session = await scene.live()
            tasks.cancel_scope.cancel()
    assert (scene.end.reason, scene.end.by) == ("crashed", "host")
    assert session.closed
    assert scene.socket.closed


async def test_the_engine_is_told_whose_call_it_is_and_what_the_agent_should_do() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        scene.socket.say("stop")
    assert session.setup == ConversationSetup(
        leg=scene.call.leg,
        preferred_format=ULAW_8000,
        playback=session.setup.playback,
        system_prompt="Be kind.",
        first_message="",
        variables={},
    )
    assert session.setup.playback.audible is False
    assert isinstance(session, EngineSession)


async def test_phone_numbers_stay_out_of_reprs() -> None:
    scene = Scene()
    async with scene.running():
        session = await scene.live()
        shown = f"{scene.call!r} {scene.call.leg!r} {session.setup!r} {scene.records[0]!r}"
        scene.socket.say("stop")
    assert "+1555" not in shown


async def test_every_record_carries_the_calls_trace_and_an_id_of_its_own() -> None:
    scene = Scene()
    async with scene.running():
        await scene.live()
        scene.socket.say("stop")
    assert {record.trace for record in scene.records} == {scene.call.context.records.maker.trace.traceparent}
    assert TraceContext.parse(scene.records[0].trace) == scene.call.context.records.maker.trace
    assert len({record.id for record in scene.records}) == len(scene.records)


async def test_the_figures_are_told_while_the_call_lasts_too() -> None:
    scene = Scene(report_every=0.01)
    async with scene.running():
        session = await scene.live()
        session.give(TranscriptInput(text="Hi."))
        session.give(FRAME)
        session.give(Error(message="Oh."))
        await scene.told("error")
        session.give(Interruption())
        await scene.told("interruption")
        scene.records.clear()
        await scene.told("metrics_reported")
        scene.socket.say("stop")
    told = len(scene.records)
    await anyio.sleep(0.05)
    assert len(scene.records) == told
    live = next(record.event for record in scene.records if isinstance(record.event, MetricsReported)).metrics
    assert (live.turns, live.user_turns, live.interruptions, live.errors) == (1, 1, 1, 1)
    assert live.reply is not None
    assert live.reply.count == 1
    assert live.barge_in is not None
    assert 0 <= live.barge_in.p50_ms < 1000
    assert live.answer_ms is not None
    assert 0 < live.engine_ms <= live.duration_ms <= scene.end.metrics.duration_ms


async def test_the_use_of_a_tool_is_told_as_the_engine_tells_it() -> None:
    scene = Scene()
    used = [ToolCall(id="1", name="look_up", arguments='{"day": "Friday"}'), ToolResult(id="1", name="look_up")]
    async with scene.running():
        session = await scene.live()
        for event in used:
            session.give(event)
        await scene.told("tool_result")
        scene.socket.say("stop")
    assert [record.event for record in scene.records if record.event.kind.startswith("tool_")] == used


async def test_what_the_carrier_will_bill_is_worked_out_from_its_prices() -> None:
    class Priced(FakeCarrier):
        rates = CarrierRates(
            inbound=Decimal("0.01"),
            outbound=Decimal("0.02"),
            streaming=Decimal("0.004"),
            recording=Decimal(0),
            machine_detection=Decimal(0),
            as_of=dt.date(2026, 10, 1),
            source="a price list",
        )

    scene = Scene(carrier=Priced())
    async with scene.running():
        await scene.live()
        scene.socket.say("stop")
    bill = scene.end.metrics.carrier_bill
    assert isinstance(bill, CarrierBill)
    assert (bill.minutes, bill.cost.amount, bill.source) == (1, Decimal("0.014"), "a price list")


async def test_who_asks_for_audio_gets_each_frame_of_both_sides() -> None:
    captured: list[Record] = []
    scene = Scene(put_audio=captured.append)
    async with scene.running():
        session = await scene.live()
        for _ in range(3):
            scene.socket.say("audio", FRAME.base64)
            session.give(FRAME)
        await scene.socket.wait_for("audio", 3)
        scene.socket.say("stop")
    audio = [record.event for record in captured if isinstance(record.event, AudioCaptured)]
    assert sorted(event.side for event in audio) == ["agent"] * 3 + ["caller"] * 3
    assert {record.sequence for record in captured} == {0}
    assert [record.sequence for record in scene.records] == list(range(1, len(scene.records) + 1))
    started = next(record.event for record in scene.records if isinstance(record.event, RecordingStarted))
    assert (started.by, started.location) == ("tape", "shelf/call-1")


async def test_a_stream_that_nobody_can_use_is_told_and_the_call_is_given_up_at_once() -> None:
    scene = Scene()
    async with scene.running():
        scene.socket.say("unusable")
    assert "media_trouble" in scene.kinds()
    assert (scene.end.reason, scene.end.detail) == ("media_unusable", "unusable stream")
    assert scene.carrier.hung_up == ["leg-1"]
    assert scene.engine.sessions == []


@pytest.mark.parametrize("progress", [progress for progress in Progress if progress.is_final])
async def test_a_call_that_was_answered_is_over_by_whatever_word_its_carrier_has_for_that(progress: Progress) -> None:
    scene = Scene()
    async with scene.running():
        await scene.live()
        scene.call.reports.note_progress(progress)
    assert scene.end.reason == "caller_hung_up"
    assert scene.carrier.hung_up == []


async def test_what_another_workers_webhook_knew_of_the_call_comes_with_the_stream() -> None:
    class Telling(FakeCarrier):
        def media_codec(self, leg: Leg) -> MediaCodec:
            codec = super().media_codec(leg)
            decode = codec.decode

            def told(message: str | bytes) -> Sequence[MediaEvent]:
                return [
                    msgspec.structs.replace(event, parameters={"shop": "main"})
                    if isinstance(event, MediaOpened)
                    else event
                    for event in decode(message)
                ]

            codec.decode = told  # type: ignore[method-assign] # the test's own codec
            return codec

    scene = Scene(carrier=Telling())
    async with scene.running():
        session = await scene.live()
        scene.socket.say("stop")
    assert session.setup.leg.parameters == scene.call.leg.parameters == {"shop": "main"}
