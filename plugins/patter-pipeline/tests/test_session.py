"""A session as the call meets it: opened, cancelled, flooded, closed, lost; and parts that do what none may."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.audio.dtmf import TONE_MS, tones
from patter_core.engine import ConversationSetup, EngineSession, Heard, HeardItem
from patter_core.errors import AudioError, EngineError, EngineLost, EngineRefused
from patter_core.events import (
    EngineEvent,
    Interruption,
    ResponseDone,
    ResponseStart,
    SpeechStarted,
    SpeechStopped,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from patter_core.history import UserSaid
from patter_core.telephony.leg import Direction, Leg
from patter_core.testing.conformance.check import Check
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline import Pipeline
from patter_pipeline.parts import (
    LanguageModel,
    LlmEvent,
    LlmRequest,
    SttSession,
    TextDelta,
    TextToSpeech,
    TtsSession,
    VoiceActivity,
)
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeStt, FakeSttEmulator, FakeTtsEmulator

pytestmark = pytest.mark.anyio

Until = Callable[[Callable[[], bool]], Awaitable[None]]
FRAME = 160


def setup(format: AudioFormat = ULAW_8000, *, outbound: bool = False, **options: Any) -> ConversationSetup:
    direction = Direction.OUTBOUND if outbound else Direction.INBOUND
    leg = Leg(carrier="fake", call_id="leg-1", direction=direction)
    return ConversationSetup(leg=leg, preferred_format=format, **options)


class Services:
    """The services of a pipeline."""

    def __init__(self) -> None:
        self.stt, self.llm, self.tts = FakeSttEmulator(), FakeLlmEmulator(), FakeTtsEmulator()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Pipeline]:
        async with self.stt, self.llm, self.tts:
            yield Pipeline((self.stt.part(),), (self.llm.part(),), (self.tts.part(),))


class Line:
    """A session whose events are taken as a call takes them: what it says is heard at once."""

    def __init__(self, session: EngineSession) -> None:
        self.session = session
        self.events: list[EngineEvent] = []
        self.audio_ms = 0.0
        self.error: EngineError | None = None
        self.over = False

    async def run(self) -> None:
        turn_ms = 0.0
        try:
            async for event in self.session.events():
                if isinstance(event, AudioChunk):
                    turn_ms += event.duration_ms
                    self.audio_ms += event.duration_ms
                    continue
                self.events.append(event)
                if isinstance(event, ResponseDone):
                    item = HeardItem(item=event.turn, heard_ms=turn_ms, sent_ms=turn_ms)
                    self.session.heard(Heard(turn=event.turn, items=(item,)))
                    turn_ms = 0.0
        except EngineError as error:
            self.error = error
        self.over = True

    def has(self, kind: type[EngineEvent]) -> bool:
        return any(isinstance(event, kind) for event in self.events)

    def said(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, TranscriptOutput)]

    async def speak(self, audio: bytes) -> None:
        due = time.monotonic()
        for at in range(0, len(audio) - FRAME + 1, FRAME):
            self.session.send_audio(AudioChunk(audio[at : at + FRAME], ULAW_8000))
            due += 0.02
            await anyio.sleep(max(0.0, due - time.monotonic()))


@contextlib.asynccontextmanager
async def talking(pipeline: Pipeline, given: ConversationSetup) -> AsyncIterator[Line]:
    session = await pipeline.open(given)
    line = Line(session)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        try:
            yield line
        finally:
            await session.aclose()


@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_16000])
async def test_it_speaks_and_hears_the_carriers_format(format: AudioFormat, until: Until) -> None:
    services = Services()
    async with services.running() as pipeline, talking(pipeline, setup(format, first_message="Hello.")) as line:
        assert (line.session.input_format, line.session.output_format) == (format, format)
        await until(lambda: line.has(ResponseDone))
        assert line.said() == ["Hello."]


async def test_speech_is_told_with_its_places_in_the_audio(until: Until) -> None:
    services = Services()
    async with services.running() as pipeline, talking(pipeline, setup()) as line:
        await line.speak(b"\xff" * 4_000)
        speaking = CALLER_LINES[0].audio(ULAW_8000)
        await line.speak(speaking[:8_000])
        await services.stt.interim("I would")
        await line.speak(b"\xff" * 3_200)
        await services.stt.final("I would like a table.")
        await until(lambda: line.has(TranscriptInput))
    started = next(event for event in line.events if isinstance(event, SpeechStarted))
    stopped = next(event for event in line.events if isinstance(event, SpeechStopped))
    assert started.at_ms == pytest.approx(540, abs=150)
    assert stopped.at_ms == pytest.approx(1_500, abs=250)


class Broken(VoiceActivity):
    """Fails at once."""

    name = "broken"

    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        raise AudioError("No such rate.")


@pytest.mark.parametrize("ends_turns", [True, False])
async def test_a_caller_is_answered_where_voice_activity_fails(ends_turns: bool, until: Until) -> None:
    services = Services()
    services.stt = FakeSttEmulator(ends_turns=ends_turns, interims=False)
    async with services.running() as pipeline, talking(dataclasses.replace(pipeline, vad=Broken()), setup()) as line:
        await line.speak(CALLER_LINES[0].audio(ULAW_8000)[:8_000] + b"\xff" * 3_200)
        if ends_turns:
            await services.stt.end_turn("A table for two.")
        else:
            await until(lambda: services.stt.finalized > 0)  # without that, it tells nothing
            await services.stt.final("A table for two.")
        await until(lambda: line.has(TranscriptInput))
        await until(lambda: bool(services.llm.requests))


class Stream:
    """The carrier's stream of a call that is being made."""

    audible = False
    ahead_ms = 0.0
    is_open = False


@pytest.mark.parametrize("frame_ms", [20, 100])
async def test_on_a_call_that_we_make_the_other_side_says_hello_first(frame_ms: int, until: Until) -> None:
    services = Services()
    stream = Stream()
    async with (
        services.running() as pipeline,
        talking(pipeline, setup(outbound=True, first_message="Hello.", playback=stream)) as line,
    ):
        for _ in range(25):  # the silence of a call that still rings
            line.session.send_audio(AudioChunk(b"\xff" * 800, ULAW_8000))
            await anyio.sleep(0.01)
        assert not line.has(ResponseStart)
        stream.is_open = True
        began = time.monotonic()
        for _ in range(2_000 // frame_ms):
            line.session.send_audio(AudioChunk(b"\xff" * 8 * frame_ms, ULAW_8000))
            await anyio.sleep(frame_ms / 1_000)
        await until(lambda: line.has(ResponseStart))
        assert time.monotonic() - began > 1.5


async def test_keys_whose_tones_are_heard_are_one_entry(until: Until) -> None:
    services = Services()
    async with services.running() as pipeline, talking(pipeline, setup()) as line:
        for key in "47":
            await line.speak(tones(key, ULAW_8000).data[: 8 * TONE_MS] * 4)
            line.session.send_dtmf(key)
            await line.speak(b"\xff" * 1_600)
        line.session.send_dtmf("#")
        await until(lambda: len(services.llm.requests) == 1)
        assert not line.has(SpeechStarted)
    assert [item.text for item in services.llm.requests[0].history if isinstance(item, UserSaid)] == ["keys: 47"]


async def test_an_open_that_is_cancelled_leaves_nothing_open() -> None:
    services = Services()
    async with services.running() as pipeline:
        took = 0.0
        for _ in range(3):
            began = time.monotonic()
            await (await pipeline.open(setup())).aclose()
            took = time.monotonic() - began
        async with Check("engine").leaving_nothing("A cancelled open()"):
            for part in range(30):
                with anyio.move_on_after(took * part / 30):
                    session = await pipeline.open(setup())
                    await session.aclose()


@pytest.mark.parametrize("broken", ["stt", "tts"])
async def test_where_one_part_cannot_be_opened_the_other_is_closed(broken: str) -> None:
    services = Services()
    async with services.running() as pipeline:
        gone = {"stt": (FakeStt("ws://127.0.0.1:9"),)} if broken == "stt" else {}
        if broken == "tts":
            gone = {"tts": (type(services.tts.part())("ws://127.0.0.1:9"),)}  # type: ignore[dict-item]
        parts = {"stt": pipeline.stt, "llm": pipeline.llm, "tts": pipeline.tts} | gone
        async with Check("engine").leaving_nothing("An open() that failed"):
            with pytest.raises(EngineError):
                await Pipeline(**parts).open(setup())  # type: ignore[arg-type]


async def test_more_audio_than_the_service_takes_is_dropped_and_counted() -> None:
    services = Services()
    async with services.running() as pipeline, talking(pipeline, setup()) as line:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2_400):  # silence: after speech without a text, another session is opened
            line.session.send_audio(AudioChunk(bytes([0xFF]) * 8_000, ULAW_8000))
        kept = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert line.session.dropped > 0
        assert kept < 16 * 2**20


async def test_a_closed_session_takes_everything_and_does_nothing(until: Until) -> None:
    services = Services()
    async with (
        services.running() as pipeline,
        Check("engine").leaving_nothing("A closed session"),
        talking(pipeline, setup(first_message="Hello.")) as line,
    ):
        await until(lambda: line.audio_ms > 0)
        session = line.session
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.aclose)
            tasks.start_soon(session.aclose)
        await until(lambda: line.over)
        assert line.error is None
        session.send_audio(AudioChunk(b"\xff" * FRAME, ULAW_8000))
        session.send_dtmf("5")
        session.add_context("Too late.")
        session.say("Too late.")
        session.send_user_message("Too late.")
        session.send_tool_result(ToolResult("call_1", "book", "Too late."))
        session.hold(True)
        session.heard(Heard(turn="1", items=()))
        await session.aclose()


@pytest.mark.parametrize("part", ["stt", "tts"])
async def test_a_service_that_goes_away_for_good_ends_the_session_in_an_error(part: str, until: Until) -> None:
    services = Services()
    async with (
        services.running() as pipeline,
        talking(pipeline, setup(first_message="Hello there, and a good evening to you.")) as line,
    ):
        await until(lambda: line.audio_ms > 0)
        service = getattr(services, part)
        service.stall()
        await service.fail()
        if part == "tts":
            line.session.say("Are you still there?")
        with anyio.fail_after(20):
            await until(lambda: line.over)
    assert isinstance(line.error, EngineError)
    assert line.error.retry


async def test_what_the_parts_have_not_told_is_unbilled_at_the_end(until: Until) -> None:
    services = Services()
    services.tts.pace = 0
    async with services.running() as pipeline, talking(pipeline, setup(first_message="Hello.")) as line:
        await line.speak(b"\xff" * 1_600)
        await until(lambda: services.tts.given == ["Hello."])
        rest = {usage.part: usage.amounts for usage in line.session.unbilled()}
        assert rest == {"stt": {"seconds": pytest.approx(0.2)}, "tts": {"characters": 6.0}}
        assert not line.session.unbilled()


@pytest.mark.parametrize("part", ["stt", "tts"])
async def test_what_a_part_that_failed_has_not_told_is_billed(part: str, until: Until) -> None:
    services = Services()
    services.tts.pace = 0
    async with services.running() as pipeline, talking(pipeline, setup(first_message="Hello.")) as line:
        await line.speak(b"\xff" * 1_600)
        await until(lambda: services.tts.given == ["Hello."])
        await getattr(services, part).fail()
        await until(lambda: any(isinstance(event, Usage) and event.part == part for event in line.events))


async def test_a_part_that_cannot_tell_what_was_used_loses_that_and_no_more() -> None:
    class Forgetful(FakeStt):
        async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
            session = await super().open(preferred_format=preferred_format, language=language)
            session.unbilled = raises  # type: ignore[method-assign]
            return session

    def raises() -> list[Usage]:
        raise SystemExit

    services = Services()
    async with services.running() as pipeline:
        bad = Pipeline((Forgetful(services.stt.url),), pipeline.llm, pipeline.tts)
        async with talking(bad, setup()) as line:
            await line.speak(b"\xff" * 1_600)
            assert line.session.unbilled() == []


async def test_heard_of_a_turn_that_is_no_number_is_ignored() -> None:
    services = Services()
    async with services.running() as pipeline, talking(pipeline, setup()) as line:
        for turn in ("", "x", "²", "-1", "999"):
            line.session.heard(Heard(turn=turn, items=(), interrupted=True))
        await anyio.sleep(0.05)
        assert not line.over


class Hostile(LanguageModel):
    name = "hostile"

    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        yield TextDelta("Well")
        raise SystemExit


async def test_a_model_that_raises_system_exit_ends_one_session_and_no_more(until: Until) -> None:
    services = Services()
    async with services.running() as pipeline:
        bad = Pipeline(pipeline.stt, (Hostile(),), pipeline.tts)
        async with talking(pipeline, setup()) as neighbour:
            async with talking(bad, setup()) as line:
                line.session.send_user_message("Hello?")
                await until(lambda: line.over)
            assert isinstance(line.error, EngineLost)
            services.llm.answer("Good evening.")
            neighbour.session.send_user_message("Hello?")
            await until(lambda: neighbour.said() == ["Good evening."])


async def test_parts_that_never_close_hold_up_no_one() -> None:
    class Stubborn(FakeStt):
        async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
            session = await super().open(preferred_format=preferred_format, language=language)
            inner = session.aclose

            async def aclose() -> None:
                await inner()
                with anyio.CancelScope(shield=True):
                    await released.wait()

            session.aclose = aclose  # type: ignore[method-assign]
            return session

    released = anyio.Event()
    services = Services()
    async with services.running() as pipeline:
        slow = Pipeline((Stubborn(services.stt.url),), pipeline.llm, pipeline.tts)
        session = await slow.open(setup())
        began = time.monotonic()
        await session.aclose()
        assert time.monotonic() - began < 5
        released.set()
        await anyio.sleep(0.02)


async def test_a_part_with_a_reserve_that_does_not_open_is_passed_over(until: Until) -> None:
    class Refuses(TextToSpeech):
        name = "refuses"

        async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
            raise EngineRefused("No.")

    services = Services()
    async with services.running() as pipeline:
        both = Pipeline(pipeline.stt, pipeline.llm, (Refuses(), *pipeline.tts))
        async with talking(both, setup(first_message="Hello.")) as line:
            await until(lambda: line.said() == ["Hello."])
        assert not line.has(Interruption)
