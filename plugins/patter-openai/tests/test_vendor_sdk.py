"""The messages of both sides are those of the vendor's own Python SDK, which is the oracle here and nothing else."""

from __future__ import annotations

import base64
import json
import typing
from collections.abc import Iterable
from typing import Any

import anyio
import msgspec
import pytest
from openai import AsyncOpenAI, AuthenticationError
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.live import SessionConfig as LiveSessionConfig
from openai.types.realtime import (
    AudioTranscription,
    RealtimeAudioConfigOutput,
    RealtimeClientEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateRequest,
)
from pydantic import BaseModel, TypeAdapter

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.engine import ConversationSetup, Heard, HeardItem
from patter_core.events import Interruption, SpeechItem, ToolCall, ToolResult
from patter_core.history import AgentSaid, ToolState, ToolUsed, UserSaid
from patter_core.telephony.leg import Leg
from patter_core.testing.speech import CALLER_LINES, GREETING
from patter_core.tools.spec import ToolSpec
from patter_openai import OpenAILive, OpenAIRealtime, wire
from patter_openai.formats import PCM16_24000
from patter_openai.prices import live_usage, response_usage, transcription_usage
from patter_openai.testing import Behaviour, Conversation, OpenAIRealtimeEmulator, Parrot, Reply
from patter_openai.testing.configuring import TRANSCRIBERS, VOICES
from patter_openai.testing.live import LiveBehaviour
from patter_openai.testing.reply import ResponseFailed

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")
SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
LINE = CALLER_LINES[2]


def types_of(union: object) -> set[str]:
    """The types of a union of the SDK's events."""
    (members, *_) = typing.get_args(union)
    return {typing.get_args(event.model_fields["type"].annotation)[0] for event in typing.get_args(members)}


def validate(adapter: TypeAdapter[Any], messages: Iterable[bytes]) -> set[str]:
    """Validates messages, which may hold no field that the SDK does not know. Returns their types."""
    types = set()
    for message in messages:
        event = adapter.validate_json(message)
        assert not event.model_extra, (message, event.model_extra)
        types.add(event.type)
    return types


async def agent(reply: Reply) -> None:
    """Does something else in each response."""
    number = len(reply.talk.replies)
    if number == 1:
        await reply.say("One moment.", GREETING.audio(reply.talk.output_format))
        await reply.call("find", '{"what":"table"}')
        await reply.call("find", '{"what":"chair"}')
    elif number == 3:
        raise ResponseFailed(wire.ServiceError(type="invalid_request_error", code="odd", message="Oops"))
    elif number == 4:
        raise ResponseFailed(status="incomplete", reason="content_filter")
    else:
        await Parrot()(reply)


async def converse(emulator: OpenAIRealtimeEmulator) -> Conversation:
    """Has the engine send all that it can send, and the emulator, too."""
    engine = OpenAIRealtime(
        emulator.api_key,
        base_url=emulator.base_url,
        noise_reduction="near_field",
        language="en",
        speed=1.1,
        max_output_tokens=500,
        reasoning_effort="low",
    )
    history = (
        UserSaid(text="Hello", started_ms=1.0),
        ToolUsed(id="1", name="find", arguments="{}", started_ms=2.0, result="x", state=ToolState.DONE),
        AgentSaid(text="Hi", started_ms=3.0),
    )
    tool = ToolSpec(name="find", description="Finds.", parameters={"type": "object", "properties": {}})
    session = await engine.open(
        ConversationSetup(
            leg=LEG, preferred_format=ULAW_8000, system_prompt="Be kind.", first_message="Hello!", history=history,
            tools=(tool,),
        )
    )  # fmt: skip
    talk = await emulator.conversation()
    items: list[str] = []

    async def listen() -> None:
        async for event in session.events():
            match event:
                case ToolCall(id=call_id, name=name):
                    session.send_tool_result(ToolResult(call_id, name, "found"))
                case SpeechItem(item=item):
                    items.append(item)
                case Interruption():
                    last, *_ = reversed(items)
                    told = HeardItem(item=last, heard_ms=70.0, sent_ms=70.0)
                    session.heard(Heard(turn="", items=(told,), interrupted=True))

    async def until(number: int) -> None:
        await talk.until(lambda: len(talk.replies) == number and talk.active is None)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await until(2)  # the first message with two calls, and the answer to their outputs
        session.send_dtmf("5")
        session.add_context("It rains.")
        session.send_user_message("What?")
        await until(3)
        session.send_user_message("Hm?")
        await until(4)
        session.say("Listen.")
        await talk.until(lambda: len(talk.replies) == 5)
        await speak(session.send_audio)
        await until(6)
        session.heard(Heard(turn="", items=(HeardItem(item=items[0], heard_ms=0.0, sent_ms=9.0),), interrupted=True))
        await talk.refuse("A correction of nothing.", code="item_truncate_invalid_item_id")
        tasks.cancel_scope.cancel()
    await session.aclose()
    return talk


async def speak(send: typing.Callable[[AudioChunk], None]) -> None:
    data = LINE.audio(ULAW_8000) + ULAW_8000.silence * 8_000
    for start in range(0, len(data), 160):
        send(AudioChunk(data[start : start + 160], ULAW_8000))
        await anyio.sleep(0.001)


async def test_all_that_both_sides_send_is_what_the_sdk_knows() -> None:
    async with OpenAIRealtimeEmulator(Behaviour(agent=agent)) as emulator:
        with anyio.fail_after(30):
            talk = await converse(emulator)
    delta = wire.AudioDelta(event_id="event_1", response_id="r", item_id="i", delta="AAAA")
    append = wire.encode_audio(base64.b64encode(bytes(160)).decode())
    sent = validate(SERVER, [*talk.sent, msgspec.json.encode(delta)])
    assert sent >= types_of_ours()
    assert validate(CLIENT, [append, *(wire.encode(message) for message in talk.messages)]) == {
        "conversation.item.create", "conversation.item.delete", "conversation.item.truncate",
        "input_audio_buffer.append", "response.create", "session.update",
    }  # fmt: skip
    others = (wire.ResponseCancel(event_id="correction_cancel", response_id="r"),)
    assert validate(CLIENT, map(wire.encode, others)) == {"response.cancel"}


def types_of_ours() -> set[str]:
    """The types that the engine reads, but those that the conversation above has no cause for."""
    known = {str(kind.__struct_config__.tag) for kind in typing.get_args(wire.ServerMessage)}
    return known - {"input_audio_buffer.cleared", "conversation.item.input_audio_transcription.failed"}


def test_every_event_that_the_sdk_names_is_read_or_ignored() -> None:
    decoder = wire.Decoder()
    names = types_of(RealtimeServerEvent)
    assert {"response.done", "rate_limits.updated"} <= names
    for name in names:
        decoder.decode(json.dumps({"type": name}))
    assert decoder.anomalies[wire.Anomaly.UNKNOWN_TYPE] == 0


async def test_the_sdk_holds_a_whole_conversation() -> None:
    async with OpenAIRealtimeEmulator() as emulator, vendor(emulator) as client:
        with anyio.fail_after(20):
            async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
                await connection.session.update(
                    session={
                        "type": "realtime",
                        "instructions": "Be kind.",
                        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
                    }
                )
                await connection.response.create(response={"instructions": 'Say: "Good evening"'})
                events = await until_done(connection)
                deltas = [event.delta for event in events if event.type == "response.output_audio.delta"]
                assert b"".join(map(base64.b64decode, deltas)) == GREETING.audio(PCM16_24000)
                (said,) = (event for event in events if event.type == "response.output_audio_transcript.done")
                assert said.transcript == "Good evening"
                await connection.conversation.item.truncate(item_id=said.item_id, content_index=0, audio_end_ms=100)
                await connection.conversation.item.truncate(item_id=said.item_id, content_index=0, audio_end_ms=200)
                audio = LINE.audio(PCM16_24000) + bytes(48_000)
                for start in range(0, len(audio), 4_800):
                    piece = base64.b64encode(audio[start : start + 4_800]).decode()
                    await connection.input_audio_buffer.append(audio=piece)
                events = await until_done(connection)
    (heard,) = (event for event in events if event.type == "conversation.item.input_audio_transcription.completed")
    assert heard.transcript == LINE.text
    (error,) = (event for event in events if event.type == "error")
    assert error.error.message == "Audio content of 100 ms is already shorter than 200 ms"
    types = {event.type for event in events}
    assert types >= {"conversation.item.truncated", "input_audio_buffer.committed", "response.created"}


async def until_done(connection: AsyncRealtimeConnection) -> list[RealtimeServerEvent]:
    """Takes all events up to the end of a response that is complete."""
    events: list[RealtimeServerEvent] = []
    async for event in connection:
        events.append(event)
        if event.type == "response.done":
            assert event.response.status == "completed"
            break
    return events


async def test_the_sdk_lists_the_models_and_is_refused_with_another_key() -> None:
    async with OpenAIRealtimeEmulator() as emulator:
        async with vendor(emulator) as client:
            models = await client.models.list()
            assert {"gpt-realtime-2.1", "gpt-transcribe"} <= {model.id for model in models.data}
        async with vendor(emulator, "sk-wrong") as client:
            with pytest.raises(AuthenticationError):
                await client.models.list()


def vendor(emulator: OpenAIRealtimeEmulator, key: str = "") -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key or emulator.api_key, base_url=emulator.base_url, max_retries=0)


def names_of(model: type[BaseModel], field: str) -> set[str]:
    """The names that a field of the SDK's types lists, beside any other text."""
    annotation = model.model_fields[field].annotation
    listed = {
        name for part in _parts(annotation) if typing.get_origin(part) is typing.Literal for name in part.__args__
    }
    assert listed
    return listed


def _parts(annotation: object) -> list[Any]:
    return [annotation, *(part for one in typing.get_args(annotation) for part in _parts(one))]


def test_models_voices_and_what_has_a_price_are_those_that_the_sdk_names() -> None:
    realtime, live = OpenAIRealtime("sk-1"), OpenAILive("sk-1")
    models = names_of(RealtimeSessionCreateRequest, "model")
    assert {realtime.model, *Behaviour().models} <= models
    priced = {name for name in models if response_usage(name, wire.ResponseUsage()).cost is not None}
    assert priced == {name for name in models if name.startswith("gpt-realtime")}
    assert names_of(RealtimeAudioConfigOutput, "voice") == VOICES
    transcribers = names_of(AudioTranscription, "model")
    assert transcribers == TRANSCRIBERS
    usage = wire.TranscriptionUsage(type="duration", seconds=1.0)
    unpriced = {name for name in transcribers if transcription_usage(name, usage).cost is None}
    assert unpriced == {
        name for name in transcribers if name.startswith(("gpt-4o", "whisper"))
    }  # they are shut down soon
    assert names_of(LiveSessionConfig, "model") == {*LiveBehaviour().models}
    assert live.model in LiveBehaviour().models
    assert all(live_usage(name, 60.0).cost is not None for name in LiveBehaviour().models)
