"""Sessions of the engine with the emulated service, over a real socket."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import anyio
import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.engine import ConversationSetup, EngineSession, Heard, HeardItem
from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused, EngineTimeout
from patter_core.events import (
    EngineEvent,
    Error,
    Interruption,
    ResponseDone,
    ResponseStart,
    SessionExpiring,
    SpeechItem,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.telephony.leg import Leg
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_core.tools.spec import ToolSpec
from patter_openai import OpenAIRealtime, SemanticVad, ServerVad, wire
from patter_openai.config import Service
from patter_openai.formats import PCM16_24000
from patter_openai.handshake import open_session
from patter_openai.session import SessionOptions
from patter_openai.testing import AgentScript, Behaviour, Conversation, OpenAIRealtimeEmulator, Parrot, Reply
from patter_openai.testing.reply import ResponseFailed

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")
ULAW_SECOND = b"\x55" * 8_000
Item = AudioChunk | EngineEvent


class Got:
    """What a session gave so far."""

    def __init__(self, session: EngineSession) -> None:
        self.session = session
        self.items: list[Item] = []
        self.error: EngineError | None = None
        self.over = False
        self._changed = anyio.Event()

    async def listen(self) -> None:
        try:
            async for item in self.session.events():
                self.items.append(item)
                self._notify()
        except EngineError as error:
            self.error = error
        self.over = True
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await self._changed.wait()

    def events(self, *kinds: type[EngineEvent]) -> list[EngineEvent]:
        return [item for item in self.items if isinstance(item, kinds or EngineEvent)]

    @property
    def audio(self) -> bytes:
        return b"".join(item.data for item in self.items if isinstance(item, AudioChunk))

    async def say(self, audio: bytes, *, silence_ms: float = 700) -> None:
        """The caller speaks, faster than real time."""
        format = self.session.input_format
        audio += format.silence * (format.size(silence_ms) // format.sample_width)
        size = format.size(20)
        for start in range(0, len(audio), size):
            self.session.send_audio(AudioChunk(audio[start : start + size], format))
            await anyio.sleep(0.001)


def setup(format: AudioFormat = ULAW_8000, **more: object) -> ConversationSetup:
    return ConversationSetup(leg=LEG, preferred_format=format, **more)  # type: ignore[arg-type] # as the struct has them


@contextlib.asynccontextmanager
async def talking(
    agent: AgentScript | None = None,
    given: ConversationSetup | None = None,
    *,
    behaviour: Behaviour | None = None,
    options: Mapping[str, object] = {},
) -> AsyncIterator[tuple[EngineSession, Conversation, Got]]:
    behaviour = behaviour or Behaviour()
    if agent is not None:
        behaviour = dataclasses.replace(behaviour, agent=agent)
    async with OpenAIRealtimeEmulator(behaviour) as emulator, anyio.create_task_group() as tasks:
        engine = dataclasses.replace(emulator.engine(), **{"first_message": "", **options})  # type: ignore[arg-type] # any
        session = await engine.open(given or setup())
        got = Got(session)
        try:
            with anyio.fail_after(15):
                tasks.start_soon(got.listen)
                yield session, await emulator.conversation(), got
        finally:
            await session.aclose()
            tasks.cancel_scope.cancel()


def of_kind(messages: Sequence[wire.ClientMessage], kind: type[wire.ClientMessage]) -> list[wire.ClientMessage]:
    return [message for message in messages if isinstance(message, kind)]


def line(name: str, format: AudioFormat) -> bytes:
    return next(line.audio(format) for line in CALLER_LINES if line.name == name)


# --- the opening ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("carrier", "spoken"), [(ULAW_8000, ULAW_8000), (ALAW_8000, ALAW_8000), (PCM16_16000, PCM16_24000)]
)
async def test_g711_is_passed_through_and_all_else_is_pcm_at_24_khz(carrier: AudioFormat, spoken: AudioFormat) -> None:
    async with talking(given=setup(carrier)) as (session, talk, _):
        assert (session.input_format, session.output_format) == (spoken, spoken)
        assert (talk.input_format, talk.output_format) == (spoken, spoken)


async def test_the_first_message_is_said_first_and_word_for_word_in_the_request() -> None:
    async with talking(given=setup(system_prompt="Be kind.", first_message='Say "hi"')) as (_, talk, got):
        await got.until(lambda: got.events(ResponseDone))
        (asked,) = of_kind(talk.messages, wire.ResponseCreate)
        assert got.audio == GREETING.audio(ULAW_8000)
    assert isinstance(asked, wire.ResponseCreate)
    assert isinstance(asked.response, wire.ResponseParameters)
    assert asked.response.instructions == (
        'Be kind.\n\nNow say exactly the following to the caller, and nothing else: "Say \\"hi\\""'
    )
    assert [type(event) for event in got.events()] == [ResponseStart, SpeechItem, TranscriptOutput, Usage, ResponseDone]


async def test_the_engines_own_first_message_is_not_said_on_a_call_that_is_resumed() -> None:
    options = {"first_message": "Welcome!"}
    async with talking(given=setup(resumed=True), options=options) as (session, talk, got):
        session.add_context("It rains.")
        await talk.until(lambda: len(talk.items.all) == 1)
        assert not of_kind(talk.messages, wire.ResponseCreate)
    async with talking(given=setup(resumed=True, first_message="Still there?"), options=options) as (_, talk, got):
        await got.until(lambda: got.events(TranscriptOutput))
    assert [event.text for event in got.events(TranscriptOutput) if isinstance(event, TranscriptOutput)] == [
        "Still there?"
    ]


async def test_the_history_is_there_before_the_first_word_and_never_as_an_instruction() -> None:
    history = (
        UserSaid(text="My name is Ada.", started_ms=1.0),
        ToolUsed(id="other/vendor", name="find", arguments='{"q":1}', started_ms=2.0, result="3", state=ToolState.DONE),
        ToolUsed(id="lost", name="pay", arguments="{}", started_ms=3.0),
        ToolUsed(id="no", name="book", arguments="{}", started_ms=3.5, result="No table.", state=ToolState.FAILED),
        AgentSaid(text="Hello Ada,", started_ms=4.0, interrupted=True),
    )
    seen: list[tuple[object, ...]] = []

    async def agent(reply: Reply) -> None:
        seen.extend((kept.item.type, kept.item.role, kept.item.output) for kept in reply.talk.items.all)
        await Parrot()(reply)

    async with talking(agent, setup(history=history, first_message="Back again.")) as (_, talk, got):
        await got.until(lambda: got.events(ResponseDone))
        assert not talk.errors
    assert [row[0] for row in seen] == [
        "message", *["function_call", "function_call_output"] * 3, "message",
    ]  # fmt: skip
    assert {row[1] for row in seen if row[0] == "message"} == {"user", "assistant"}
    assert seen[2][2] == "3"
    assert "outcome is unknown" in str(seen[4][2])
    assert seen[6][2] == '{"error":"No table."}'


async def test_options_are_sent_and_others_are_left_out() -> None:
    options: dict[str, object] = {
        "turn_detection": SemanticVad(eagerness="high"),
        "noise_reduction": "far_field",
        "speed": 1.25,
        "max_output_tokens": 100,
        "reasoning_effort": "low",
        "transcription": "gpt-live-transcribe",
    }
    tool = ToolSpec(name="add", description="Adds.", parameters={"type": "object", "properties": {}})
    async with talking(given=setup(language="pt-BR", tools=(tool,)), options=options) as (_, talk, _got):
        (update,) = of_kind(talk.messages, wire.SessionUpdate)
    sent = json.loads(wire.encode(update))["session"]
    assert sent["audio"]["input"] == {
        "format": {"type": "audio/pcmu"},
        "noise_reduction": {"type": "far_field"},
        "transcription": {"model": "gpt-live-transcribe", "language": "pt"},
        "turn_detection": {
            "type": "semantic_vad", "eagerness": "high", "create_response": True, "interrupt_response": True,
        },
    }  # fmt: skip
    assert sent["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.25}
    assert (sent["max_output_tokens"], sent["reasoning"], sent["tracing"]) == (100, {"effort": "low"}, None)
    assert sent["tools"] == [{"type": "function", "name": "add", "description": "Adds.", "parameters": tool.parameters}]
    assert "pt-BR" in sent["instructions"]


async def test_a_voice_of_the_call_takes_precedence_and_one_that_is_unknown_is_named() -> None:
    async with talking(given=setup(voice="voice_1")) as (_, talk, _got):
        assert talk.output.voice == wire.VoiceId(id="voice_1")
    with pytest.raises(ExceptionGroup) as caught:
        async with talking(given=setup(voice="nina")):
            pass
    assert caught.group_contains(EngineRefused, match="voice")


# --- turns ------------------------------------------------------------------------------------------------------------


async def test_the_caller_speaks_and_is_answered() -> None:
    async with talking() as (_, talk, got):
        await got.say(line("time", ULAW_8000))
        await got.until(lambda: got.events(ResponseDone) and got.events(TranscriptInput))
    (started,), (stopped,) = got.events(SpeechStarted), got.events(SpeechStopped)
    (heard,) = got.events(TranscriptInput)
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    length = ULAW_8000.duration_ms(len(line("time", ULAW_8000)))
    assert started.at_ms == 0.0
    assert abs(stopped.at_ms - length) < 150
    assert isinstance(heard, TranscriptInput)
    assert heard == TranscriptInput("Half past seven would be perfect.", heard.item, 0.0)
    assert talk.kept(heard.item) is not None
    kinds = [
        type(event) for event in got.events(Interruption, SpeechStarted, SpeechStopped, ResponseStart, ResponseDone)
    ]
    assert kinds == [Interruption, SpeechStarted, SpeechStopped, ResponseStart, ResponseDone]


async def test_transcripts_that_come_late_and_in_another_order_say_when_each_began() -> None:
    behaviour = Behaviour(transcription_delays=(1.5, 0.0))

    async def silent(_: Reply) -> None:
        """Says nothing."""

    async with talking(silent, behaviour=behaviour) as (_, _talk, got):
        await got.say(line("time", ULAW_8000))
        await got.say(line("goodbye", ULAW_8000))
        await got.until(lambda: len(got.events(TranscriptInput)) == 2)
    texts = [event for event in got.events(TranscriptInput) if isinstance(event, TranscriptInput)]
    assert [text.text for text in texts] == ["Thank you, goodbye.", "Half past seven would be perfect."]
    in_order = sorted(texts, key=lambda text: text.started_ms or 0.0)
    assert [text.text for text in in_order] == ["Half past seven would be perfect.", "Thank you, goodbye."]


async def test_a_turn_of_several_items_is_one_turn() -> None:
    async def agent(reply: Reply) -> None:
        await reply.say("Let me see.", ULAW_SECOND)
        await reply.say("It is noon.", ULAW_SECOND)

    async with talking(agent, setup(first_message="x")) as (_, talk, got):
        await got.until(lambda: got.events(ResponseDone))
        turn = talk.replies[0].id
        first, second = (kept.id for kept in talk.items.all)
    told = got.events(ResponseStart, SpeechItem, TranscriptOutput, ResponseDone)
    assert told == [
        ResponseStart(turn=turn),
        SpeechItem(item=first, turn=turn),
        SpeechItem(item=second, turn=turn),
        TranscriptOutput("Let me see.", turn, first),
        TranscriptOutput("It is noon.", turn, second),
        ResponseDone(turn),
    ]
    assert got.audio == ULAW_SECOND * 2


async def test_usage_has_the_price_of_the_list_and_none_for_another_model() -> None:
    for model, is_known in (("gpt-realtime-2.1", True), ("gpt-realtime-9", False)):
        async with talking(behaviour=Behaviour(models=(model,)), given=setup(first_message="Hello")) as (_, _talk, got):
            await got.until(lambda: got.events(ResponseDone))
        (usage,) = got.events(Usage)
        assert isinstance(usage, Usage)
        tokens = round(ULAW_8000.duration_ms(len(GREETING.audio(ULAW_8000))) / 50)
        assert (usage.part, usage.vendor, usage.model) == ("engine", "openai", model)
        assert usage.amounts["output_audio_tokens"] == tokens
        assert (usage.cost is not None) is is_known
        if usage.cost is not None:
            assert float(usage.cost.amount) == pytest.approx(
                (64 * tokens + 4 * usage.amounts["input_text_tokens"] + 24 * usage.amounts["output_text_tokens"]) / 1e6
            )


# --- barge-in ---------------------------------------------------------------------------------------------------------


async def interrupted_turn(heard: Sequence[tuple[float, float]]) -> tuple[list[float | None], Got, Conversation]:
    """Three items of 3 s at once; the caller talks over them. Returns how much of each the service keeps, in ms."""

    async def agent(reply: Reply) -> None:
        if len(reply.talk.replies) == 1:
            for text in ("One one one.", "Two two two.", "Three three three."):
                await reply.say(text, ULAW_SECOND * 3)

    async with talking(agent, setup(first_message="x"), behaviour=Behaviour(pace=0)) as (session, talk, got):
        await got.until(lambda: len(got.audio) == 9 * len(ULAW_SECOND) and got.events(ResponseDone))
        items = [kept.id for kept in talk.items.all]
        await got.say(line("correction", ULAW_8000))
        await got.until(lambda: got.events(Interruption))
        told = tuple(
            HeardItem(item=item, heard_ms=ms, sent_ms=sent) for item, (ms, sent) in zip(items, heard, strict=True)
        )
        session.heard(Heard(turn=talk.replies[0].id, items=told, interrupted=True))
        await got.until(lambda: len(got.events(ResponseDone)) == 1)
        session.add_context("sentinel")
        await talk.until(lambda: any("sentinel" in str(kept.item) for kept in talk.items.all))
        kept_ms = [None if (kept := talk.kept(item)) is None else kept.ms(ULAW_8000) for item in items]
        return kept_ms, got, talk


async def test_memory_is_what_was_heard_item_by_item() -> None:
    kept_ms, got, talk = await interrupted_turn([(3_000.0, 3_000.0), (1_234.9, 3_000.0), (0.0, 2_000.0)])
    assert kept_ms == [3_000.0, 1_234.0, None]
    assert not talk.errors
    assert not got.events(Error)
    assert [kept.text for kept in talk.items.all if kept.is_agent_audio] == ["One one one.", ""]


async def test_what_was_heard_whole_is_left_alone() -> None:
    kept_ms, _, talk = await interrupted_turn([(3_000.0, 3_000.0)] * 3)
    assert kept_ms == [3_000.0] * 3
    assert not of_kind(talk.messages, wire.ItemTruncate)


async def test_more_than_what_came_is_never_claimed() -> None:
    kept_ms, _, talk = await interrupted_turn([(3_000.0, 3_000.0), (3_000.0, 3_000.0), (9_999.0, 9_999.0)])
    assert kept_ms == [3_000.0] * 3
    assert not talk.errors


async def test_an_interrupted_response_ends_its_turn_and_none_of_its_later_audio_comes() -> None:
    async def agent(reply: Reply) -> None:
        if len(reply.talk.replies) == 1:
            await reply.say("One two three four five six seven eight nine ten.", ULAW_SECOND * 10)

    async with talking(agent, setup(first_message="x"), behaviour=Behaviour(pace=2)) as (session, talk, got):
        await got.until(lambda: len(got.audio) > 8_000)
        await got.say(line("correction", ULAW_8000))
        await got.until(lambda: got.events(Interruption))
        at = got.items.index(got.events(Interruption)[0])
        (item,) = (event for event in got.events(SpeechItem) if isinstance(event, SpeechItem))
        told = HeardItem(item=item.item, heard_ms=500.0, sent_ms=1_000.0)
        session.heard(Heard(turn=item.turn, items=(told,), interrupted=True))
        await talk.until(lambda: len(talk.replies) == 2 and talk.active is None)
        await got.until(lambda: got.events(TranscriptOutput))
        assert talk.replies[0].status == "cancelled"
        kept = talk.kept(item.item)
        assert kept is not None
        await talk.until(lambda: kept.ms(ULAW_8000) == 500.0)
    assert not [entry for entry in got.items[at:] if isinstance(entry, AudioChunk)]
    assert not got.events(ResponseDone)
    (said,) = got.events(TranscriptOutput)
    assert isinstance(said, TranscriptOutput)
    assert "".join(word.text for word in said.words) == said.text  # it is longer than the audio that was passed on
    assert said.words[-1].end_ms == pytest.approx(ULAW_8000.duration_ms(len(talk.spoken[item.item])), abs=1)


async def test_a_response_that_was_not_announced_is_interrupted_as_any_other() -> None:
    async def agent(reply: Reply) -> None:
        if len(reply.talk.replies) == 1:
            await reply.say("One two three four five.", ULAW_SECOND * 10)

    behaviour = Behaviour(agent=agent, pace=2, announces=False)
    async with talking(None, setup(first_message="x"), behaviour=behaviour) as (_, talk, got):
        await got.until(lambda: len(got.audio) > 8_000)
        await got.say(line("correction", ULAW_8000))
        await got.until(lambda: got.events(Interruption))
        await talk.until(lambda: len(talk.replies) == 2 and talk.active is None)
        at = got.items.index(got.events(Interruption)[0])
    assert not [entry for entry in got.items[at:] if isinstance(entry, AudioChunk)]


async def test_an_item_whose_audio_was_never_taken_is_deleted() -> None:
    async def agent(reply: Reply) -> None:
        if len(reply.talk.replies) == 1:
            await reply.say("No one takes this.", ULAW_SECOND)

    async with OpenAIRealtimeEmulator(Behaviour(agent=agent, pace=0)) as emulator:
        session = await emulator.engine().open(setup())
        talk = await emulator.conversation()
        with anyio.fail_after(10):
            await talk.until(lambda: len(talk.replies) == 1 and talk.active is None)
            (item,) = (kept.id for kept in talk.items.all)
            await Got(session).say(line("correction", ULAW_8000))
            await talk.until(lambda: talk.kept(item) is None)
        await session.aclose()
        left = [event async for event in session.events()]
    assert any(isinstance(event, Interruption) for event in left)
    assert not any(isinstance(event, AudioChunk) for event in left)


async def test_a_turn_that_the_core_voids_is_cancelled() -> None:
    async def agent(reply: Reply) -> None:
        await reply.say("One two three.", ULAW_SECOND * 10)

    async with talking(agent, setup(first_message="x"), behaviour=Behaviour(pace=2)) as (session, talk, got):
        await got.until(lambda: len(got.audio) > 8_000)
        (item,) = (event for event in got.events(SpeechItem) if isinstance(event, SpeechItem))
        told = HeardItem(item=item.item, heard_ms=0.0, sent_ms=0.0)
        before = len(got.audio)
        session.heard(Heard(turn=item.turn, items=(told,), interrupted=True))
        await got.until(lambda: got.events(ResponseDone))
        assert talk.replies[0].cancelled_by == "client_cancelled"
        assert len(got.audio) == before
        await talk.until(lambda: talk.kept(item.item) is None)


async def test_an_agent_that_is_not_to_be_interrupted_goes_on() -> None:
    options = {"turn_detection": ServerVad(interrupt_response=False)}

    async def agent(reply: Reply) -> None:
        await reply.say("One.", ULAW_SECOND * 3)

    async with talking(agent, setup(first_message="x"), behaviour=Behaviour(pace=2), options=options) as (
        _,
        _talk,
        got,
    ):
        await got.until(lambda: got.audio)
        await got.say(line("goodbye", ULAW_8000))
        await got.until(lambda: len(got.events(ResponseDone)) == 2)
    assert len(got.audio) == 6 * len(ULAW_SECOND)
    assert got.events(SpeechStarted)
    assert not got.events(Interruption)


# --- tools ------------------------------------------------------------------------------------------------------------


async def test_functions_that_are_called_together_are_answered_together() -> None:
    async def agent(reply: Reply) -> None:
        if len(reply.talk.replies) == 1:
            await reply.say("One moment.", ULAW_SECOND)
            await reply.call("add", '{"a": 1, "b": 2}')
            await reply.call("add", '{"a": 3, "b": 4}')
            await anyio.sleep(0.2)  # both are answered before the response is done
        else:
            await Parrot()(reply)

    async with talking(agent, setup(first_message="x")) as (session, talk, got):
        await got.until(lambda: len(got.events(ToolCall)) == 2)
        first, second = (event for event in got.events(ToolCall) if isinstance(event, ToolCall))
        assert (first.name, first.arguments) == ("add", '{"a": 1, "b": 2}')
        session.send_tool_result(ToolResult(second.id, "add", "7"))
        session.send_tool_result(ToolResult(second.id, "add", "8"))  # a second time
        session.send_tool_result(ToolResult("unknown", "add", "9"))
        session.send_tool_result(ToolResult(first.id, "add", "3 is not a number", failed=True))
        await got.until(lambda: len(got.events(ResponseDone)) == 2)
        outputs = [kept.item.output for kept in talk.items.all if kept.item.type == "function_call_output"]
    assert outputs == ["7", '{"error":"3 is not a number"}']
    assert len(of_kind(talk.messages, wire.ResponseCreate)) == 2  # the first message, and the outputs
    assert not talk.errors


async def test_outputs_that_another_response_has_seen_are_not_answered_again() -> None:
    async def agent(reply: Reply) -> None:
        if len(reply.talk.replies) == 1:
            await reply.call("find", "{}")
        elif len(reply.talk.replies) == 2:
            await anyio.sleep(0.3)

    async with talking(agent, setup(first_message="x")) as (session, talk, got):
        await got.until(lambda: got.events(ToolCall) and got.events(Usage))
        (call,) = (event for event in got.events(ToolCall) if isinstance(event, ToolCall))
        await got.say(line("time", ULAW_8000)[:4_000], silence_ms=0)
        await got.until(lambda: got.events(SpeechStarted))
        session.send_tool_result(ToolResult(call.id, "find", "Rome"))  # the user speaks: no response is asked for
        await got.say(b"")
        await talk.until(lambda: len(talk.replies) == 2 and talk.active is None)
        session.add_context("sentinel")
        await talk.until(lambda: any("sentinel" in str(kept.item) for kept in talk.items.all))
        assert len(talk.replies) == 2  # one that the service refused, because another was active, was not asked again
    assert not got.events(Error)


async def test_a_call_that_is_not_complete_is_not_run() -> None:
    async def agent(reply: Reply) -> None:
        await reply.call("pay", '{"amount": 1', status="incomplete")
        raise ResponseFailed(status="incomplete", reason="max_output_tokens")

    async with talking(agent, setup(first_message="x")) as (_, _talk, got):
        await got.until(lambda: got.events(Error))
    assert got.events(Error) == [Error("The agent's response is not complete.", "max_output_tokens")]
    assert not got.events(ToolCall)


# --- what is asked for ------------------------------------------------------------------------------------------------


async def test_a_text_is_said_after_the_response_that_is_being_made() -> None:
    async with talking(given=setup(first_message="Hello.")) as (session, talk, got):
        await got.until(lambda: got.audio)
        session.say("And this, too.")
        session.send_user_message("What?")
        await got.until(lambda: len(got.events(ResponseDone)) == 3)
        assert not talk.errors
    said = [event.text for event in got.events(TranscriptOutput) if isinstance(event, TranscriptOutput)]
    assert said == ["Hello.", "And this, too.", "What?"]


@pytest.mark.parametrize("as_message", [False, True])
async def test_a_key_is_told_and_answered_only_if_that_is_wanted(as_message: bool) -> None:
    async with talking(options={"dtmf_as_message": as_message}) as (session, talk, got):
        session.send_dtmf("5")
        await talk.until(lambda: len(talk.items.all) >= 1)
        (kept, *_) = talk.items.all
        assert kept.item.role == "user"
        assert "pressed the key 5" in str(kept.item.content)
        if as_message:
            await got.until(lambda: got.events(ResponseDone))
        assert len(talk.replies) == as_message


# --- errors and ends --------------------------------------------------------------------------------------------------


async def test_an_error_is_told_and_ends_nothing() -> None:
    async with talking() as (session, talk, got):
        await talk.refuse("Something is odd.", code="odd")
        await got.until(lambda: got.events(Error))
        session.send_user_message("Still there?")
        await got.until(lambda: got.events(ResponseDone))
    assert got.events(Error) == [Error("Something is odd.", "odd")]


async def test_corrections_that_come_too_late_are_harmless(caplog: pytest.LogCaptureFixture) -> None:
    async with talking() as (session, talk, got):
        await talk.refuse("Only model output audio messages can be truncated", event_id="correction_item_1")
        await talk.refuse("No active response", code="response_cancel_not_active")
        session.send_user_message("Hello?")
        await got.until(lambda: got.events(ResponseDone))
    assert not got.events(Error)
    assert "2 × correction that the service refused" in caplog.text


async def test_a_response_that_fails_by_the_services_fault_is_asked_for_once_more() -> None:
    async def agent(reply: Reply) -> None:
        if len(reply.talk.replies) < 3:
            raise ResponseFailed(wire.ServiceError(type="server_error", message="Oops"))

    async with talking(agent) as (session, talk, got):
        session.send_user_message("Hello?")
        await got.until(lambda: len(got.events(Error)) == 2)
        session.send_user_message("Hello?")
        await talk.until(lambda: len(talk.replies) == 3 and talk.active is None)
    assert got.events(Error) == [Error("Oops", "server_error")] * 2


@pytest.mark.parametrize(
    ("code", "kind", "retry"),
    [
        ("insufficient_quota", EngineQuotaExceeded, False),
        ("invalid_api_key", EngineRefused, False),
        ("session_expired", EngineLost, True),
    ],
)
async def test_fatal_errors_end_the_session_with_their_type(code: str, kind: type[EngineError], retry: bool) -> None:
    async with talking() as (_, talk, got):
        await talk.refuse("It is over.", code=code)
        await got.until(lambda: got.over)
    assert type(got.error) is kind
    assert got.error.retry is retry


async def test_a_response_may_fail_for_good() -> None:
    async def agent(_: Reply) -> None:
        raise ResponseFailed(wire.ServiceError(type="insufficient_quota", message="Nothing is left."))

    async with talking(agent, setup(first_message="x")) as (_, _talk, got):
        await got.until(lambda: got.over)
    assert isinstance(got.error, EngineQuotaExceeded)


@pytest.mark.parametrize(("code", "kind"), [(1006, EngineLost), (1011, EngineFailed), (1000, EngineLost)])
async def test_a_close_is_never_a_good_end(code: int, kind: type[EngineError]) -> None:
    async def agent(reply: Reply) -> None:
        if code == 1006:
            reply.talk.abort()
        await reply.talk.close(code)

    async with talking(agent, setup(first_message="x")) as (_, _talk, got):
        await got.until(lambda: got.over)
    assert type(got.error) is kind
    assert got.error.retry


async def test_a_session_says_that_it_expires_and_then_ends() -> None:
    async with talking(behaviour=Behaviour(session_seconds=3.0)) as (_, _talk, got):
        await got.until(lambda: got.events(SessionExpiring))
        (expiring,) = got.events(SessionExpiring)
        assert isinstance(expiring, SessionExpiring)
        assert 0.5 <= expiring.seconds <= 2.0
        await got.until(lambda: got.over)
    assert isinstance(got.error, EngineLost)


async def test_a_rate_limit_that_is_nearly_used_up_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with talking(behaviour=Behaviour(requests_left=10)) as (session, _, got):
        session.send_user_message("One")
        session.send_user_message("Two")
        await got.until(lambda: got.events(ResponseDone))
        session.send_user_message("Three")
        await got.until(lambda: len(got.events(ResponseDone)) > 1)
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == ["OpenAI's rate limit of requests is nearly used up: 10 of 1000 are left for 60 s."]


async def test_it_survives_what_it_does_not_understand(caplog: pytest.LogCaptureFixture) -> None:
    async with talking() as (session, talk, got):
        for text in ("", "[]", '{"type":"new.thing"}', '{"type":"response.done"}', b"\xff\x00"):
            await talk.send(text)
        await talk.send('{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"??"}')
        await talk.send('{"type":"error","error":7}')
        session.send_user_message("Hello?")
        await got.until(lambda: got.events(ResponseDone))
    assert "5 × malformed message" in caplog.text
    assert "1 × unknown message type" in caplog.text
    assert "1 × invalid audio" in caplog.text
    assert [event.message for event in got.events(Error) if isinstance(event, Error)] == ['{"type":"error","error":7}']


# --- refusals of the opening ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "retry"), [(401, False), (403, False), (404, False), (429, True), (500, True), (503, True)]
)
async def test_a_refused_upgrade_says_what_to_do(status: int, retry: bool) -> None:
    async with OpenAIRealtimeEmulator(Behaviour(refuse_upgrade=status)) as emulator:
        with pytest.raises(EngineRefused) as caught:
            await emulator.engine().open(setup())
    assert (caught.value.status, caught.value.retry) == (status, retry)
    assert bool(caught.value.remedy) or status >= 500


@pytest.mark.parametrize("late", [False, True])
async def test_a_model_that_the_key_may_not_use(late: bool) -> None:
    async with OpenAIRealtimeEmulator(Behaviour(refuse_model_late=late)) as emulator:
        engine = OpenAIRealtime(emulator.api_key, "gpt-realtime-0", base_url=emulator.base_url)
        with pytest.raises(EngineRefused, match="odel") as caught:
            await engine.open(setup())
    assert not caught.value.retry


async def test_a_key_that_is_not_known() -> None:
    async with OpenAIRealtimeEmulator() as emulator:
        engine = OpenAIRealtime("sk-wrong", base_url=emulator.base_url)
        with pytest.raises(EngineRefused, match="OPENAI_API_KEY"):
            await engine.open(setup())


async def test_a_configuration_that_never_comes_is_a_timeout() -> None:
    async with OpenAIRealtimeEmulator(Behaviour(configure_delay=5.0)) as emulator:
        engine = emulator.engine()
        options = SessionOptions(
            model=engine.model, transcription_model="", format=ULAW_8000, instructions="", interrupts=True,
            dtmf_as_message=False,
        )  # fmt: skip
        with pytest.raises(EngineTimeout):
            await open_session(Service(emulator.api_key, emulator.base_url), wire.SessionConfig(), options, within=0.2)
