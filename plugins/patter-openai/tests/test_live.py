"""Live sessions of the engine with the emulated service, over a real socket."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import anyio
import msgspec
import pytest
from openai.types.live import ClientEvent, ServerEvent
from pydantic import TypeAdapter

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.checks import Level
from patter_core.engine import ConversationSetup, EngineCapability, EngineSession
from patter_core.errors import ConfigurationError, EngineError, EngineLost, EngineRefused
from patter_core.events import (
    EngineEvent,
    Error,
    SessionExpiring,
    ToolCall,
    ToolCallsCancelled,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.telephony.leg import Leg
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_core.tools.spec import ToolSpec
from patter_openai import OpenAILive
from patter_openai.formats import PCM16_24000
from patter_openai.live import session as live_session
from patter_openai.live import wire
from patter_openai.live.transcripts import Gathered, Gatherer
from patter_openai.testing import ConversationOver
from patter_openai.testing.live import LiveBehaviour, LiveConversation, OpenAILiveEmulator
from patter_openai.wire import Anomaly

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")
LINE = CALLER_LINES[2]
TOOL = ToolSpec(name="find", description="Finds.", parameters={"type": "object", "properties": {}})
E = TypeVar("E", bound=EngineEvent)


class Got:
    """What a session gave so far."""

    def __init__(self, session: EngineSession) -> None:
        self.session = session
        self.audio = bytearray()
        self.events: list[EngineEvent] = []
        self.error: EngineError | None = None
        self.over = False
        self._changed = anyio.Event()

    async def listen(self) -> None:
        try:
            async for item in self.session.events():
                if isinstance(item, AudioChunk):
                    self.audio += item.data
                else:
                    self.events.append(item)
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

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def hear(self, audio: bytes = b"", *, seconds: float = 1.0) -> None:
        """The caller says this and then nothing: the session's clock is their audio, and faster than real time here."""
        format = self.session.input_format
        audio += format.silence * int(format.sample_rate * seconds)
        size = format.size(20)
        for start in range(0, len(audio), size):
            self.session.send_audio(AudioChunk(audio[start : start + size], format))
            await anyio.sleep(0.001)


@contextlib.asynccontextmanager
async def talking(
    behaviour: LiveBehaviour | None = None, *, format: AudioFormat = ULAW_8000, **given: object
) -> AsyncIterator[tuple[EngineSession, LiveConversation, Got]]:
    setup = ConversationSetup(leg=LEG, preferred_format=format, **given)  # type: ignore[arg-type] # as the struct has
    async with OpenAILiveEmulator(behaviour) as emulator, anyio.create_task_group() as tasks:
        session = await dataclasses.replace(emulator.engine(), first_message="").open(setup)
        got = Got(session)
        try:
            with anyio.fail_after(15):
                tasks.start_soon(got.listen)
                yield session, await emulator.conversation(), got
        finally:
            await session.aclose()
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("carrier", "spoken"), [(ULAW_8000, ULAW_8000), (ALAW_8000, ALAW_8000), (PCM16_16000, PCM16_24000)]
)
async def test_one_format_serves_both_directions(carrier: AudioFormat, spoken: AudioFormat) -> None:
    async with talking(format=carrier) as (session, talk, got):
        assert (session.input_format, session.output_format, talk.format) == (spoken, spoken, spoken)
        assert session.conversation_id == talk.session_id
        await got.hear(seconds=0.5)
        await got.until(lambda: len(got.audio) == spoken.size(500))
    assert bytes(got.audio) == spoken.silence * (len(got.audio) // len(spoken.silence))


async def test_the_configuration_holds_the_prompt_and_the_history_as_data() -> None:
    history = (
        UserSaid(text="I am Ada.", started_ms=1.0),
        ToolUsed(id="1", name="find", arguments="{}", started_ms=2.0, result="here", state=ToolState.DONE),
        AgentSaid(text="Hello Ada.", started_ms=3.0),
    )
    given: dict[str, object] = {"system_prompt": "Be kind.", "language": "it", "voice": "voice_1", "history": history}
    async with talking(None, **given) as (_, talk, _got):  # type: ignore[arg-type] # as above
        config = json.loads(msgspec.json.encode(talk.started))
    assert config["audio"]["output"] == {"voice": {"id": "voice_1"}}
    assert config["instructions"].startswith("Be kind.\n\nSpeak the language with the code it")
    assert config["delegation"] is None  # without tools
    assert [(item["role"], item["content"][0]["text"]) for item in config["input"]] == [
        ("user", "I am Ada."),
        ("assistant", "(I called find({}).)"),
        ("assistant", "(The result was: here)"),
        ("assistant", "Hello Ada."),
    ]
    assert config["store"] is False


async def test_the_caller_is_answered_and_each_text_is_told_once() -> None:
    async with talking(first_message=GREETING.text) as (_, talk, got):
        await got.hear(seconds=6)
        await got.until(lambda: got.of(TranscriptOutput))
        await got.hear(LINE.audio(ULAW_8000), seconds=4)
        await got.until(lambda: len(got.of(TranscriptOutput)) == 2)
        assert not talk.errors
    assert [said.text for said in got.of(TranscriptOutput)] == [GREETING.text, LINE.text]
    (heard,) = got.of(TranscriptInput)
    assert heard.text == LINE.text
    assert heard.started_ms is not None
    assert 6_000 <= heard.started_ms <= 6_000 + ULAW_8000.duration_ms(len(LINE.audio(ULAW_8000))) + 600
    assert GREETING.audio(ULAW_8000) in bytes(got.audio)


async def test_a_first_message_that_is_lost_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_session, "_GREET_AGAIN", 0.2)
    async with talking(LiveBehaviour(mute=1), first_message="Hello?") as (session, talk, got):
        await talk.until(lambda: sum(isinstance(one, wire.Commentary) for one in talk.messages) == 2)
        await got.hear(seconds=6)
        await got.until(lambda: got.of(TranscriptOutput))
        session.say("And you?")
        await talk.until(lambda: sum(isinstance(one, wire.Commentary) for one in talk.messages) == 3)


async def test_keys_and_context_are_known_and_not_said() -> None:
    async with talking(resumed=True) as (session, talk, _):
        session.send_dtmf("5")
        session.add_context("It rains.")
        await talk.until(lambda: len(talk.messages) == 3)
        assert talk.messages[1:] == [
            wire.Thinking(content="The caller pressed the key 5 on the phone."), wire.Thinking(content="It rains."),
        ]  # fmt: skip
        assert not talk.speaking


async def test_functions_that_are_called_together_are_answered_together() -> None:
    async def agent(talk: LiveConversation, _text: str, _audio: bytes) -> None:
        await talk.delegate(("find", '{"a":1}'), ("find", ""))

    async with talking(LiveBehaviour(agent=agent), tools=(TOOL,)) as (session, talk, got):
        await got.hear(LINE.audio(ULAW_8000))
        await got.until(lambda: len(got.of(ToolCall)) == 2)
        first, second = got.of(ToolCall)
        assert (first.arguments, second.arguments) == ('{"a":1}', "{}")
        session.send_tool_result(ToolResult(second.id, "find", "two"))
        session.send_tool_result(ToolResult(second.id, "find", "again"))
        session.send_tool_result(ToolResult("unknown", "find", "x"))
        session.add_context("sentinel")
        await talk.until(lambda: wire.Thinking(content="sentinel") in talk.messages)
        assert wire.ResponseCreate() not in talk.messages
        session.send_tool_result(ToolResult(first.id, "find", "one"))
        await talk.until(lambda: wire.ResponseCreate() in talk.messages)
        assert talk.outputs == {first.id: "one", second.id: "two"}
        responses = talk.started.delegation
        assert responses is not None
        assert (responses.responses.model, responses.responses.tools[0].name) == ("gpt-emulated", "find")


async def test_the_calls_of_a_response_that_failed_are_void() -> None:
    async def agent(talk: LiveConversation, _text: str, _audio: bytes) -> None:
        await talk.delegate(("find", "{}"), fails=True)

    async with talking(LiveBehaviour(agent=agent), tools=(TOOL,)) as (session, talk, got):
        await got.hear(LINE.audio(ULAW_8000))
        await got.until(lambda: got.of(ToolCallsCancelled))
        (call,), (cancelled,) = got.of(ToolCall), got.of(ToolCallsCancelled)
        assert cancelled.ids == (call.id,)
        session.send_tool_result(ToolResult(call.id, "find", "late"))
        session.add_context("sentinel")
        await talk.until(lambda: wire.Thinking(content="sentinel") in talk.messages)
        assert not talk.outputs


async def test_a_task_for_the_client_is_answered_because_the_model_waits() -> None:
    async with talking(resumed=True) as (_, talk, _got):
        delegation = await talk.delegate_to_client()
        await talk.until(lambda: len(talk.messages) == 2)
        (answer,) = talk.messages[1:]
    assert isinstance(answer, wire.Commentary)
    assert (answer.delegation_id, "cannot" in answer.content) == (delegation, True)


async def test_tools_need_a_model_that_calls_them() -> None:
    async with OpenAILiveEmulator() as emulator:
        engine = dataclasses.replace(emulator.engine(), tools_model="")
        with pytest.raises(EngineRefused, match="tools_model"):
            await engine.open(ConversationSetup(leg=LEG, preferred_format=ULAW_8000, tools=(TOOL,)))
        assert not emulator.conversations


async def test_usage_is_the_difference_to_the_last_report() -> None:
    async with talking(LiveBehaviour(usage_every=2.0)) as (_, _talk, got):
        await got.hear(seconds=5.0)
        await got.until(lambda: len(got.of(Usage)) == 2)
    assert [usage.amounts["seconds"] for usage in got.of(Usage)] == [2.0, 2.0]
    costs = [usage.cost for usage in got.of(Usage)]
    assert all(cost is not None and float(cost.amount) == pytest.approx(0.05 / 30) for cost in costs)


async def test_what_was_used_since_the_last_report_is_reckoned_by_the_audio_that_was_given() -> None:
    async with talking(LiveBehaviour(usage_every=2.0)) as (session, talk, got):
        await got.hear(seconds=5.0)
        await got.until(lambda: len(got.of(Usage)) == 2)
        (rest,) = session.unbilled()
        assert rest.amounts == {"seconds": 1.0}
        assert rest.cost is not None
        assert float(rest.cost.amount) == pytest.approx(0.05 / 60)
        assert not session.unbilled()
        await talk.until(lambda: talk.now_ms == 5_000)


async def test_nothing_is_reckoned_after_the_service_has_told_all_or_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(LiveBehaviour()) as (session, talk, got):
        await got.hear(seconds=1.0)
        await talk.until(lambda: talk.now_ms == 1_000)
        with monkeypatch.context() as patch, contextlib.suppress(ConversationOver):
            patch.setattr(LiveConversation, "now_ms", 800)  # the service bills less than it was given
            await talk.finish("content")
        await got.until(lambda: got.over)
        assert [usage.amounts["seconds"] for usage in got.of(Usage)] == [0.8]
        assert not session.unbilled()
    async with talking(LiveBehaviour()) as (session, talk, got):
        await got.hear(seconds=1.0)
        await talk.until(lambda: talk.now_ms == 1_000)
        with contextlib.suppress(ConversationOver):
            await talk.close(1011)
        await got.until(lambda: got.over)
        await got.hear(seconds=1.0)  # which no one hears
        assert [usage.amounts["seconds"] for usage in session.unbilled()] == [1.0]


async def test_a_report_that_was_not_taken_is_not_lost() -> None:
    async with OpenAILiveEmulator(LiveBehaviour(usage_every=1.0)) as emulator:
        session = await emulator.engine().open(ConversationSetup(leg=LEG, preferred_format=ULAW_8000))
        talk = await emulator.conversation()
        with anyio.fail_after(10):
            await Got(session).hear(seconds=2.5)
            await talk.until(lambda: sum(b"usage.updated" in sent for sent in talk.sent) == 2)
            session.add_context("sentinel")
            await talk.until(lambda: wire.Thinking(content="sentinel") in talk.messages)
            await anyio.sleep(0.1)
        assert sum(usage.amounts["seconds"] for usage in session.unbilled()) == 2.5
        await session.aclose()


async def test_it_says_that_it_expires_and_then_ends_with_what_is_billed() -> None:
    async with talking(LiveBehaviour(session_seconds=3.0)) as (_, _talk, got):
        await got.hear(seconds=1.0)
        await got.until(lambda: got.over)
    (expiring,) = got.of(SessionExpiring)
    assert 0.5 <= expiring.seconds <= 2.0
    assert sum(usage.amounts["seconds"] for usage in got.of(Usage)) == 1.0
    assert isinstance(got.error, EngineLost)
    assert got.error.retry


async def test_closing_it_ends_what_is_billed() -> None:
    async with talking() as (session, talk, got):
        await session.aclose()
        await talk.until(lambda: wire.Close() in talk.messages)
        await got.until(lambda: got.over)
    assert got.error is None


async def test_it_survives_errors_and_what_it_does_not_understand(caplog: pytest.LogCaptureFixture) -> None:
    async with talking() as (_, talk, got):
        for text in ("", "[]", '{"type":"new.thing"}', '{"type":"session.output_audio.delta","delta":"?"}', b"\xff"):
            await talk.send(text)
        await talk.refuse("Odd.", code="odd")
        await talk.refuse("Too late.", code="context_injection_incomplete")
        await got.hear(seconds=0.1)
        await got.until(lambda: got.of(Error) and got.audio)
    assert got.of(Error) == [Error("Odd.", "odd")]
    assert "3 × malformed message" in caplog.text
    assert "1 × invalid audio" in caplog.text


async def test_what_is_refused_when_it_opens() -> None:
    setup = ConversationSetup(leg=LEG, preferred_format=ULAW_8000)
    async with OpenAILiveEmulator() as emulator:
        with pytest.raises(EngineRefused, match="OPENAI_API_KEY"):
            await OpenAILive("sk-wrong", base_url=emulator.base_url).open(setup)
        with pytest.raises(EngineRefused, match="model"):
            await OpenAILive(emulator.api_key, "gpt-live-0", base_url=emulator.base_url).open(setup)
    with pytest.raises(ConfigurationError, match="model"):
        OpenAILive("sk-1", "")


async def test_its_check_opens_no_session_because_one_is_billed() -> None:
    async with OpenAILiveEmulator() as emulator:
        assert [result.level for result in await emulator.engine().check()] == [Level.OK]
        (found,) = await dataclasses.replace(emulator.engine(), model="gpt-live-0").check()
        assert (found.level, "gpt-live-1.1" in found.remedy) == (Level.PROBLEM, True)
        (found,) = await dataclasses.replace(emulator.engine(), api_key="sk-wrong").check()
        assert found.level == Level.PROBLEM
        assert not emulator.conversations
    assert OpenAILive.prewarm is False
    assert EngineCapability.CONTINUOUS_OUTPUT in OpenAILive.capabilities
    assert "sk-1" not in repr(OpenAILive("sk-1"))


def test_fragments_are_texts_when_there_is_a_gap() -> None:
    gatherer = Gatherer()
    assert gatherer.take() is None
    assert gatherer.add(" Hello", 100, 300) is None
    assert gatherer.add(" there.", 900, 1_000) is None
    assert gatherer.add(" Bye.", 1_800, 1_900) == Gathered("Hello there.", 100)
    assert gatherer.take() == Gathered("Bye.", 1_800)


def types_of(union: object) -> set[str]:
    members = typing.get_args(typing.get_args(union)[0])
    return {typing.get_args(event.model_fields["type"].annotation)[0] for event in members}


def test_every_event_that_the_sdk_names_is_read_or_ignored() -> None:
    decoder = wire.Decoder()
    names = types_of(ServerEvent)
    assert {"session.started", "session.output_audio.delta"} <= names
    for name in names:
        decoder.decode(json.dumps({"type": name}))
    assert decoder.anomalies[Anomaly.UNKNOWN_TYPE] == 0


async def test_all_that_both_sides_send_is_what_the_sdk_knows() -> None:
    async def agent(talk: LiveConversation, _text: str, _audio: bytes) -> None:
        await talk.delegate(("find", "{}"))

    history = (UserSaid(text="Hello", started_ms=1.0), AgentSaid(text="Hi", started_ms=2.0))
    given: dict[str, object] = {"tools": (TOOL,), "history": history, "system_prompt": "Be kind."}
    behaviour = LiveBehaviour(agent=agent, usage_every=1.0)
    async with talking(behaviour, first_message="Hello.", **given) as (session, talk, got):  # type: ignore[arg-type] # any
        await got.hear(seconds=2)
        await got.hear(LINE.audio(ULAW_8000), seconds=2)
        await got.until(lambda: got.of(ToolCall))
        session.send_tool_result(ToolResult(got.of(ToolCall)[0].id, "find", "here"))
        session.add_context("It rains.")
        await talk.until(lambda: wire.ResponseCreate() in talk.messages)
        await talk.refuse("Odd.", code="odd")
        await session.aclose()
        await talk.until(lambda: wire.Close() in talk.messages and talk.close_code is not None)
    delta = msgspec.json.encode(wire.OutputAudio(delta="AAAA"))
    assert validated(TypeAdapter(ServerEvent), [delta, *talk.sent]) >= {
        "error", "response.event", "session.closed", "session.commentary.appended", "session.delegation.created",
        "session.input_transcript.delta", "session.output_audio.delta", "session.output_transcript.delta",
        "session.started", "session.thinking.appended", "session.usage.updated",
    }  # fmt: skip
    append = wire.encode_audio("AAAA")
    assert validated(TypeAdapter(ClientEvent), [append, *map(wire.encode, talk.messages)]) == {
        "response.create", "response.item.create", "session.close", "session.commentary.append",
        "session.input_audio.append", "session.start", "session.thinking.append",
    }  # fmt: skip


def validated(adapter: TypeAdapter[Any], messages: list[bytes]) -> set[str]:
    types = set()
    for message in messages:
        event = adapter.validate_json(message)
        assert not event.model_extra, message
        types.add(event.type)
    return types
