from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.lowlevel
import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_core.events import (
    EngineEvent,
    Error,
    Interruption,
    ResponseDone,
    ResponseStart,
    ToolCall,
    ToolResult,
    TranscriptCorrection,
    TranscriptInput,
    TranscriptOutput,
)
from patter_core.net.inbox import BYTE_LIMIT
from patter_elevenlabs import wire
from patter_elevenlabs.config import Service
from patter_elevenlabs.handshake import open_session
from patter_elevenlabs.session import ConvAISession
from patter_elevenlabs.testing import DEFAULT_CLIENT_EVENTS, AgentScript, Behaviour, Conversation, ElevenLabsEmulator
from patter_elevenlabs.turns import SILENCE, Turns

pytestmark = pytest.mark.anyio

Item = AudioChunk | EngineEvent


@contextlib.asynccontextmanager
async def conversing(
    behaviour: Behaviour, *, dtmf_as_message: bool = False
) -> AsyncIterator[tuple[ConvAISession, Conversation]]:
    async with ElevenLabsEmulator(behaviour) as emulator:
        service = Service(emulator.api_key, emulator.agent_id, emulator.base_url)
        session = await open_session(service, wire.initiation(), dtmf_as_message=dtmf_as_message)
        try:
            with anyio.fail_after(10):
                yield session, await emulator.conversation()
        finally:
            await session.aclose()


async def all_of(agent: AgentScript) -> list[Item]:
    """Everything that a session tells of a script that ends with a close of its own."""
    async with conversing(Behaviour(agent=agent)) as (session, _):
        return [item async for item in session.events()]


async def until(events: AsyncIterator[Item], found: Callable[[Item], bool]) -> list[Item]:
    taken = []
    async for item in events:
        taken.append(item)
        if found(item):
            break
    return taken


def audio(data: bytes, event_id: wire.EventId = 1) -> wire.Audio:
    return wire.Audio(wire.AudioEvent(base64=base64.b64encode(data).decode(), event_id=event_id))


def told(items: list[Item]) -> list[EngineEvent | bytes]:
    """The same, with audio as the bytes that it is."""
    return [item.data if isinstance(item, AudioChunk) else item for item in items]


async def test_formats_and_id_come_from_the_metadata() -> None:
    async with conversing(Behaviour(input_format="pcm_16000", output_format="ulaw_8000")) as (session, talk):
        assert session.conversation_id == talk.conversation_id
        assert session.input_format == PCM16_16000
        assert session.output_format == ULAW_8000


async def test_a_response_from_start_to_done() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(wire.AgentResponse(wire.AgentResponseEvent(text="Hello", event_id=1)))
        await talk.send(audio(b"one"))
        await talk.send(audio(b"two"))

    started = anyio.current_time()
    async with conversing(Behaviour(agent=agent)) as (session, _):
        items = await until(session.events(), lambda item: isinstance(item, ResponseDone))
        assert anyio.current_time() - started >= SILENCE
    assert told(items) == [
        ResponseStart("Hello", "1"),
        TranscriptOutput("Hello", "1"),
        b"one",
        b"two",
        ResponseDone("1"),
    ]


async def test_what_the_user_said() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text="Good evening", event_id=1)))
        await talk.close(1000)

    assert await all_of(agent) == [TranscriptInput("Good evening")]


async def test_after_an_interruption_only_audio_with_a_smaller_id_is_void() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(audio(b"before", 1))
        await talk.send(wire.Interruption(wire.Numbered(event_id=3)))
        await talk.send(audio(b"late", 2))
        await talk.send(audio(b"late too", "2"))
        await talk.send(audio(b"live", 3))
        await talk.send(audio(b"nameless", None))
        await talk.close(1000)

    items = told(await all_of(agent))
    cut = items.index(Interruption("1"))
    assert items[cut:] == [Interruption("1"), ResponseStart("", "3"), b"live", b"nameless", ResponseDone("3")]


async def test_an_interruption_overtakes_audio_that_was_not_taken() -> None:
    async def agent(talk: Conversation) -> None:
        for _ in range(100):
            await talk.send(audio(b"never to be heard", 1))
        await talk.send(wire.Interruption(wire.Numbered(event_id=2)))
        await talk.ping()

    async with conversing(Behaviour(agent=agent, ping_interval=60)) as (session, talk):
        await talk.until(lambda: len(talk.pongs) == 2)  # all before it has been read by now
        items = await until(session.events(), lambda item: isinstance(item, Interruption))
    assert items == [ResponseStart("", "1"), Interruption("1")]


async def test_a_correction_replaces_what_was_said() -> None:
    async def agent(talk: Conversation) -> None:
        event = wire.CorrectionEvent(text="One", original="One two three", event_id=1)
        await talk.send(wire.Correction(event))
        await talk.close(1000)

    async with conversing(
        Behaviour(agent=agent, client_events=DEFAULT_CLIENT_EVENTS | {"agent_response_correction"})
    ) as (session, _):
        items = [item async for item in session.events()]
    assert items == [TranscriptCorrection("One", "One two three", "1")]


async def test_caller_audio_arrives_whole_and_in_order() -> None:
    frames = [bytes([number]) * 160 for number in range(50)]
    async with conversing(Behaviour()) as (session, talk):
        for frame in frames:
            session.send_audio(AudioChunk(frame, ULAW_8000))
        await talk.until(lambda: len(talk.heard_sizes) == 50)
        assert bytes(talk.heard) == b"".join(frames)
        assert session.dropped == 0


async def test_pings_are_answered_although_events_are_not_taken() -> None:
    async def silent(_: Conversation) -> None:
        """Say nothing."""

    async with conversing(Behaviour(agent=silent, ping_interval=0.02)) as (_, talk):
        await talk.until(lambda: len(talk.pongs) >= 5)
        assert set(talk.pongs) <= set(talk.pings)


async def test_a_pong_gives_back_the_id_that_came() -> None:
    async def agent(talk: Conversation) -> None:
        talk.pings["p1"] = anyio.current_time()
        await talk.send(wire.Ping(wire.PingEvent(event_id="p1")))
        await talk.until(lambda: "p1" in talk.pongs)
        await talk.close(1000)

    assert await all_of(agent) == []


async def test_every_error_is_one_event_and_the_conversation_goes_on() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(wire.Error(error_event=wire.ErrorEvent(code=1011, message="Busy")))
        await talk.send('{"type":"client_error","client_error_event":{"code":4,"error_name":"odd"}}')
        await talk.send('{"type":"error","message":"Flat"}')
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text="Hello?", event_id=1)))
        await talk.close(1000)

    assert await all_of(agent) == [
        Error("Busy", "1011"),
        Error("odd", "4"),
        Error("Flat"),
        TranscriptInput("Hello?"),
    ]


async def test_anomalies_are_counted_survived_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send("{not json")
        await talk.send(b"\x00\xff")
        await talk.send('{"type":"novelty"}')
        await talk.send('{"type":"vad_score","vad_score_event":{"vad_score":0.5}}')
        await talk.send('{"type":"audio","audio_event":{"audio_base_64":"***","event_id":1}}')
        await talk.send('{"type":"audio","audio_event":{"audio_base_64":"","event_id":1}}')
        await talk.send(audio(b"x", None))
        await talk.send(audio(b"y", "7"))
        await talk.close(1000)

    async with conversing(Behaviour(agent=agent)) as (session, _):
        items = [item async for item in session.events()]
        assert session.anomalies == {
            wire.Anomaly.MALFORMED: 2,
            wire.Anomaly.UNKNOWN_TYPE: 1,
            wire.Anomaly.BAD_AUDIO: 1,
            wire.Anomaly.MISSING_ID: 1,
            wire.Anomaly.STRING_ID: 1,
        }
    assert told(items) == [ResponseStart(""), b"x", b"y", ResponseDone()]
    (warning,) = [record for record in caplog.records if record.name == "patter.elevenlabs"]
    assert warning.levelno == logging.WARNING
    assert "2 × malformed message" in warning.getMessage()


@pytest.mark.parametrize("size", [1_500_000, 12_000_000])
async def test_a_message_of_up_to_16_mebibytes_is_taken(size: int) -> None:
    speech = bytes(size)

    async def agent(talk: Conversation) -> None:
        await talk.send(audio(speech))
        await talk.close(1000)

    assert told(await all_of(agent)) == [ResponseStart("", "1"), speech, ResponseDone("1")]


async def test_a_message_beyond_that_ends_the_conversation_and_nothing_else() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(audio(bytes(12_600_000)))
        await talk.until(lambda: talk.close_code is not None)

    async with conversing(Behaviour(agent=agent)) as (session, _):
        with pytest.raises(EngineRefused, match="1009"):
            await until(session.events(), lambda _: False)


async def test_a_consumer_that_stops_costs_bounded_memory_and_the_oldest_audio(
    caplog: pytest.LogCaptureFixture,
) -> None:
    piece = 2**20 - 1024

    async def agent(talk: Conversation) -> None:
        for number in range(BYTE_LIMIT // piece + 3):
            await talk.send(audio(bytes([number]) * piece))
        await talk.ping()
        await talk.until(lambda: len(talk.pongs) == 2)  # the service's own and this: all before it has been read
        await talk.close(1000)

    async with conversing(Behaviour(agent=agent, ping_interval=60)) as (session, talk):
        await talk.until(lambda: talk.close_code is not None)
        assert session.output_dropped == 3
        chunks = [item async for item in session.events() if isinstance(item, AudioChunk)]
    assert [chunk.data[0] for chunk in chunks] == [*range(3, BYTE_LIMIT // piece + 3)]
    (warning,) = [record for record in caplog.records if record.name == "patter.elevenlabs"]
    assert warning.levelno == logging.WARNING
    assert "3 chunks or events" in warning.getMessage()


async def test_a_tool_call_is_told_and_its_result_is_sent_where_the_agent_expects_one() -> None:
    async def agent(talk: Conversation) -> None:
        for name, use, expects in (("log", "t0", False), ("weather", "t1", None), ("weather", "t2", True)):
            event = wire.ToolCallEvent(tool_name=name, tool_call_id=use, expects_response=expects)
            await talk.send(wire.ToolCall(event))
        await talk.until(lambda: len(talk.tool_results) == 2)
        await talk.close(1000)

    async with conversing(Behaviour(agent=agent, ping_interval=60)) as (session, talk):
        calls = []
        async for event in session.events():
            assert isinstance(event, ToolCall)
            calls.append(event)
            session.send_tool_result(ToolResult(event.id, event.name, f"result of {event.id}", failed=event.id == "t2"))
        results = [message for message in talk.messages if isinstance(message, wire.ToolResult)]
    assert calls == [
        ToolCall("t0", "log"),
        ToolCall("t1", "weather"),
        ToolCall("t2", "weather"),
    ]
    assert results == [
        wire.ToolResult(tool_call_id="t1", result="result of t1", is_error=False),
        wire.ToolResult(tool_call_id="t2", result="result of t2", is_error=True),
    ]


async def test_a_server_that_stops_reading_costs_bounded_memory_and_the_oldest_audio() -> None:
    async def agent(talk: Conversation) -> None:
        talk.stop_reading()
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text="stuck", event_id=1)))

    frames = [number.to_bytes(4, "big") * 4000 for number in range(2000)]  # 32 MB: more than any socket holds
    async with conversing(Behaviour(agent=agent, ping_interval=60)) as (session, talk):
        await until(session.events(), lambda item: isinstance(item, TranscriptInput))
        for frame in frames:
            session.send_audio(AudioChunk(frame, ULAW_8000))
            await anyio.lowlevel.checkpoint()
        assert session.dropped > 1000
        talk.resume_reading()
        await talk.until(lambda: talk.heard.endswith(frames[-1]))
        heard = bytes(talk.heard)
        assert len(heard) == sum(map(len, frames)) - session.dropped * len(frames[0])
        assert heard.startswith(frames[0])


async def test_pongs_go_out_ahead_of_audio_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = anyio.Event()
    heard_before: list[int] = []

    async def agent(talk: Conversation) -> None:
        await talk.until(lambda: len(talk.pongs) == 1)  # to the service's own first ping
        talk.stop_reading()
        stuck.set()

    async with conversing(Behaviour(agent=agent, ping_interval=60)) as (session, talk):
        await stuck.wait()
        note = talk.note

        def count(message: wire.ClientMessage) -> None:
            heard_before.append(len(talk.heard_sizes))
            note(message)

        monkeypatch.setattr(talk, "note", count)
        sent = 0
        while len(session._socket._queued) < 50:
            session.send_audio(AudioChunk(bytes(16_000), ULAW_8000))
            sent += 1
            await anyio.lowlevel.checkpoint()
        await talk.ping()
        await talk.send(wire.UserTranscript(wire.UserTranscriptEvent(text="pinged", event_id=2)))
        await until(session.events(), lambda item: isinstance(item, TranscriptInput))  # so the ping is answered
        waiting = len(session._socket._queued)
        talk.resume_reading()
        await talk.until(lambda: len(talk.heard_sizes) == sent and len(talk.pongs) == 2)
    assert waiting >= 40
    assert len(heard_before) == 1
    assert heard_before[0] <= sent - waiting


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retry"),
    [
        (1002, "LLM timed out", EngineFailed, True),
        (1002, "Quota exceeded", EngineQuotaExceeded, False),
        (1002, "No user input", EngineLost, False),
        (1008, "Missing dynamic variable", EngineRefused, False),
        (1009, "", EngineRefused, False),
        (1011, "", EngineFailed, True),
        (3000, "", EngineRefused, False),
        (1006, "", EngineLost, True),
    ],
)
async def test_every_close_code_raises_its_error(code: int, reason: str, kind: type[EngineError], retry: bool) -> None:
    async def agent(talk: Conversation) -> None:
        if code == 1006:
            talk.abort()
        await talk.close(code, reason)

    async with conversing(Behaviour(agent=agent)) as (session, _):
        with pytest.raises(kind) as error:
            await until(session.events(), lambda _: False)
    assert type(error.value) is kind
    assert error.value.retry is retry
    assert f"code {code}" in str(error.value)


async def test_a_pressed_key_is_a_message_with_dtmf_as_message() -> None:
    async with conversing(Behaviour(ping_interval=60), dtmf_as_message=True) as (session, talk):
        session.send_dtmf("5")
        await talk.until(lambda: wire.UserMessage(text="5") in talk.messages)


async def test_feedback_is_about_the_turn_that_is_named_or_the_latest() -> None:
    asked = anyio.Event()

    async def agent(talk: Conversation) -> None:
        await asked.wait()
        for number in (7, 8):
            await talk.send(wire.AgentResponse(wire.AgentResponseEvent(text="So", event_id=number)))

    async with conversing(Behaviour(agent=agent, ping_interval=60)) as (session, talk):
        session.send_feedback(like=True)  # about nothing
        asked.set()
        await until(session.events(), lambda item: item == TranscriptOutput("So", "8"))
        session.send_feedback(like=True)
        session.send_feedback(like=False, turn="7")
        await talk.until(lambda: len(talk.messages) == 3)
        assert [message for message in talk.messages if not isinstance(message, wire.Pong)] == [
            wire.Feedback(event_id=8, score="like"),
            wire.Feedback(event_id=7, score="dislike"),
        ]


async def test_the_text_side() -> None:
    async with conversing(Behaviour(ping_interval=60)) as (session, talk):
        session.send_dtmf("5")
        session.add_context("It rains.")
        session.send_user_message("Hello")
        session.user_activity()
        await talk.until(lambda: wire.UserActivity() in talk.messages)
        texts = [message for message in talk.messages if not isinstance(message, wire.Pong)]
    assert texts == [
        wire.ContextualUpdate(text="The caller pressed the key 5 on the phone."),
        wire.ContextualUpdate(text="It rains."),
        wire.UserMessage(text="Hello"),
        wire.UserActivity(),
    ]


async def test_a_failure_is_raised_after_all_events() -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(audio(b"x"))
        await talk.close(1011, "Internal")

    async with conversing(Behaviour(agent=agent)) as (session, _):
        items = await until(session.events(), lambda item: isinstance(item, ResponseDone))
        with pytest.raises(EngineLost) as error:
            await anext(session.events())
    assert error.value.retry
    assert told(items) == [ResponseStart("", "1"), b"x", ResponseDone("1")]


async def test_a_refused_override_names_the_field() -> None:
    async with ElevenLabsEmulator(Behaviour(allowed_overrides=frozenset())) as emulator:
        service = Service(emulator.api_key, emulator.agent_id, emulator.base_url)
        session = await open_session(service, wire.initiation(language="it"))
        with anyio.fail_after(5), pytest.raises(EngineRefused, match="language"):
            await until(session.events(), lambda _: False)
        await session.aclose()


async def test_closing_ends_the_events_and_is_idempotent() -> None:
    async def silent(_: Conversation) -> None:
        """Say nothing."""

    async with conversing(Behaviour(agent=silent)) as (session, talk):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until, session.events(), lambda _: False)
            await anyio.wait_all_tasks_blocked()
            await session.aclose()
            await session.aclose()
        session.send_audio(AudioChunk(bytes(160), ULAW_8000))
        session.add_context("Too late.")
        await talk.until(lambda: talk.close_code is not None)
        assert (talk.close_code, talk.closed_by) == (1000, "client")


async def test_a_conversation_is_billed_for_its_time_until_its_end_without_a_price() -> None:
    async with conversing(Behaviour()) as (session, _):
        await anyio.sleep(0.3)
        await session.aclose()
        (usage,) = session.unbilled()
        await anyio.sleep(0.3)
        assert session.unbilled() == [usage]
    assert (usage.part, usage.vendor, usage.cost) == ("engine", "elevenlabs", None)
    assert usage.amounts["seconds"] >= 0.3


async def test_a_bug_in_a_handler_ends_one_conversation_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def agent(talk: Conversation) -> None:
        await talk.send(audio(b"fine"))
        for _ in range(40):
            await talk.send(wire.Interruption(wire.Numbered(event_id=2)))
        await talk.until(lambda: talk.close_code is not None)

    def fail(_turns: Turns, _event_id: int | None) -> list[EngineEvent]:
        raise ZeroDivisionError

    monkeypatch.setattr(Turns, "interruption", fail)
    async with conversing(Behaviour(agent=agent, ping_interval=60)) as (session, talk):
        items = await until(session.events(), lambda item: isinstance(item, ResponseDone))
        with pytest.raises(EngineError, match="This is a bug"):
            await anext(session.events())
        assert told(items) == [ResponseStart("", "1"), b"fine", ResponseDone("1")]
        await session.aclose()
        await talk.until(lambda: talk.close_code is not None)
    assert [record.exc_info is not None for record in caplog.records if record.levelname == "ERROR"] == [True]
    assert session.conversation_id in caplog.text
