"""A session of a voice, against the emulated service and against hostile peers."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve

from patter_core.audio import PCM16_16000, ULAW_8000, AudioFormat
from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineRefused
from patter_core.events import Usage
from patter_deepgram import DeepgramTTS
from patter_deepgram.testing import DeepgramTTSEmulator, Manner
from patter_pipeline.parts import Spoken, TtsEvent, TtsSession, UtteranceDone

pytestmark = pytest.mark.anyio

TEXT = "Good evening, the table is yours."
LONG = "We are open from seven in the morning until eleven at night. " * 4


@contextlib.asynccontextmanager
async def opened(part: DeepgramTTS, format: AudioFormat = ULAW_8000) -> AsyncIterator[TtsSession]:
    session = await part.open(preferred_format=format, voice="", language="")
    try:
        yield session
    finally:
        await session.aclose()


@contextlib.asynccontextmanager
async def peer(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[DeepgramTTS]:
    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield DeepgramTTS("key", base_url=f"http://127.0.0.1:{port}")


async def until_done(events: AsyncIterator[TtsEvent], utterance: str) -> dict[str, bytes]:
    """Returns the audio of each utterance, up to the end of one."""
    audio: dict[str, bytes] = {}
    with anyio.fail_after(10):
        async for event in events:
            if isinstance(event, Spoken):
                audio[event.utterance] = audio.get(event.utterance, b"") + event.chunk.data
            elif event == UtteranceDone(utterance):
                return audio
    raise AssertionError(f"{utterance} is never done")


async def to_the_end(events: AsyncIterator[TtsEvent], into: list[TtsEvent] | None = None) -> None:
    taken = [] if into is None else into
    async for event in events:
        taken.append(event)


def say(session: TtsSession, utterance: str, *texts: str) -> None:
    for text in texts:
        session.speak(utterance, text)
    session.finish(utterance)


async def test_the_voice_comes_as_the_carrier_speaks_and_whole() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        assert session.output_format == ULAW_8000
        say(session, "1", TEXT[:13], TEXT[13:])
        audio = await until_done(session.events(), "1")
        assert audio == {"1": bytes(emulator.connections[0].spoken)}
        assert len(audio["1"]) >= ULAW_8000.size(50 * (len(TEXT) - 2))
        assert emulator.given == [TEXT]


async def test_half_a_sample_waits_for_its_other_half() -> None:
    async with (
        DeepgramTTSEmulator(Manner(chunk_bytes=333, pace=200.0)) as emulator,
        opened(emulator.part(), PCM16_16000) as session,
    ):
        say(session, "1", "Yes.")
        audio = await until_done(session.events(), "1")
        assert audio["1"] == bytes(emulator.connections[0].spoken)
        assert len(audio["1"]) == PCM16_16000.size(200)


async def test_utterances_follow_each_other_and_each_has_its_own_audio() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        events = session.events()
        for number in range(5):
            say(session, str(number), "x" * (number + 1) + ".")
        for number in range(5):
            audio = await until_done(events, str(number))
            assert {name: len(data) for name, data in audio.items()} == {str(number): (number + 2) * 400}


async def test_a_cancelled_utterance_is_silent_at_once_and_the_next_one_whole() -> None:
    async with DeepgramTTSEmulator(Manner(stale_chunks=3)) as emulator, opened(emulator.part()) as session:
        events = session.events()
        session.speak("1", LONG)
        assert isinstance(await anext(events), Spoken)
        await anyio.sleep(0.1)  # more of it waits
        session.cancel("1")
        say(session, "2", TEXT)
        say(session, "3", TEXT)
        session.cancel("3")
        audio = await until_done(events, "2")
        assert set(audio) == {"2"}
        assert len(audio["2"]) == 400 * len(TEXT)
        assert emulator.given == [LONG, TEXT]
        commands = [json.loads(command)["type"] for command in emulator.connections[0].commands]
        assert commands == ["Speak", "Flush", "Clear", "Speak", "Flush"]


async def test_a_done_utterance_that_is_cancelled_before_it_is_taken_is_not_told() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        say(session, "1", "Yes.")
        service = await emulator.connection()
        await service.until(lambda: any("Flushed" in message for message in service.sent))
        await anyio.sleep(0.05)
        session.cancel("1")
        say(session, "2", "No.")
        assert set(await until_done(session.events(), "2")) == {"2"}


async def test_text_is_billed_as_it_is_sent() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        events = session.events()
        say(session, "1", TEXT)
        session.speak("2", LONG)
        session.speak("3", "never sent")
        await until_done(events, "1")
        await anext(events)
        await session.aclose()
        bills = [event async for event in events if isinstance(event, Usage)]
        assert [bill.amounts["characters"] for bill in bills] == [len(LONG)]
        session.speak("4", "late")
        session.finish("4")
        session.cancel("4")


async def test_more_flushes_than_allowed_cost_a_connection_and_no_word() -> None:
    async with DeepgramTTSEmulator(Manner(pace=100.0)) as emulator, opened(emulator.part()) as session:
        events = session.events()
        for number in range(25):
            say(session, str(number), "Yes.")
            assert len((await until_done(events, str(number)))[str(number)]) == 1_600
        assert len(emulator.connections) == 2
        assert emulator.given == ["Yes."] * 25
        assert emulator.connections[0].close_code == 1000
        assert not any("Warning" in message for message in emulator.connections[0].sent)


async def test_a_service_with_a_lower_limit_is_obeyed_too() -> None:
    async with DeepgramTTSEmulator(Manner(flush_limit=2)) as emulator, opened(emulator.part()) as session:
        events = session.events()
        for number in range(5):
            say(session, str(number), "Yes.")
            await until_done(events, str(number))
        assert len(emulator.connections) == 2
        assert sum("Warning" in message for message in emulator.connections[0].sent) == 1


async def test_an_idle_connection_that_was_closed_is_replaced() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        events = session.events()
        say(session, "1", "Yes.")
        await until_done(events, "1")
        await emulator.close(1011, "NET-0001")
        await anyio.sleep(0.05)
        assert len(emulator.connections) == 1
        session.speak("2", "No")
        say(session, "2", ".")
        assert len((await until_done(events, "2"))["2"]) == 1_200
        assert len(emulator.connections) == 2


async def test_an_utterance_that_meets_a_dying_connection_is_said_on_the_next() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        await emulator.connection()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(emulator.close, 1000)
            say(session, "1", "Yes.")
            assert len((await until_done(session.events(), "1"))["1"]) == 1_600


async def test_a_failure_in_an_utterance_is_an_error() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        events = session.events()
        session.speak("1", LONG)
        await anext(events)
        await emulator.fail()
        with anyio.fail_after(5), pytest.raises(EngineFailed, match="NET-0000") as caught:
            await to_the_end(events)
        assert caught.value.retry


async def test_a_service_that_refuses_the_next_connection_is_an_error() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        await emulator.connection()
        emulator.refuse = 402
        await emulator.close(1000)
        await anyio.sleep(0.05)
        session.speak("1", "Yes.")
        with anyio.fail_after(5), pytest.raises(EngineRefused, match="credit"):
            await to_the_end(session.events())


async def test_a_service_that_closes_each_connection_is_given_up() -> None:
    connections: list[ServerConnection] = []

    async def close(connection: ServerConnection) -> None:
        connections.append(connection)
        await connection.close(1012, "restart")

    async with peer(close) as part, opened(part) as session:
        say(session, "1", "Yes.")
        with anyio.fail_after(5), pytest.raises(EngineLost, match="1012"):
            await to_the_end(session.events())
        assert 2 <= len(connections) <= 3


async def test_closing_while_it_reconnects_leaves_nothing_open() -> None:
    async with DeepgramTTSEmulator() as emulator:
        session = await emulator.part().open(preferred_format=ULAW_8000, voice="", language="")
        await emulator.connection()
        await emulator.close(1000)
        await anyio.sleep(0.05)
        emulator.stall()
        session.speak("1", "Yes.")
        await anyio.sleep(0.05)
        with anyio.fail_after(2):
            await session.aclose()
            assert [event async for event in session.events()] == []


async def test_an_utterance_that_ends_the_connection_can_be_cancelled() -> None:
    async with DeepgramTTSEmulator(Manner(flush_limit=0, pace=5.0)) as emulator, opened(emulator.part()) as session:
        events = session.events()
        say(session, "1", LONG)
        service = await emulator.connection()
        await service.until(lambda: len(service.commands) == 3)  # Speak, Flush and, in its place, Close
        await anext(events)
        session.cancel("1")
        say(session, "2", "Yes.")
        assert set(await until_done(events, "2")) == {"2"}
        assert len(emulator.connections) == 2
        await service.until(lambda: not service.is_open, within=1.0)  # long before it has said all


async def test_a_warning_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="patter.deepgram")
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        await emulator.connection()
        for _ in range(3):
            await emulator.inject('{"type":"Warning","code":"ODD","description":"odd\\nthing"}')
        say(session, "1", "Yes.")
        await until_done(session.events(), "1")
    assert [record.getMessage() for record in caplog.records] == [r"Deepgram warns: ODD: odd\nthing"]


async def test_a_hostile_service_is_survived() -> None:
    """Audio that belongs to nothing, far more than fits, answers to nothing, and what is no message."""

    async def hostile(connection: ServerConnection) -> None:
        for kind in ("Flushed", "Cleared", "Warning", "Metadata", "Odd"):
            await connection.send(json.dumps({"type": kind, "code": "FLUSH", "sequence_id": "x"}))
        await connection.send(b"stale")
        await connection.recv()
        for _ in range(60):
            await connection.send(b"\x00" * 2**18)
            await connection.send("{")
        await connection.send('{"type":"Error","code":"DATA-0001","description":"enough"}')
        await connection.close(1008)

    async with peer(hostile) as part, opened(part) as session:
        await anyio.sleep(0.1)
        say(session, "1", TEXT)
        taken: list[TtsEvent] = []
        with anyio.fail_after(60), pytest.raises(EngineError):
            await to_the_end(session.events(), taken)
        assert any(isinstance(event, Spoken) for event in taken)


async def test_a_bug_of_ours_ends_one_session_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        monkeypatch.setattr("patter_deepgram.utterances.Utterances.audio", broken)
        session.speak("1", LONG)
        with anyio.fail_after(5), pytest.raises(EngineError, match="This is a bug"):
            await to_the_end(session.events())
    assert "ZeroDivisionError" in caplog.text


async def test_what_was_not_told_of_an_utterance_is_unbilled_once() -> None:
    async with DeepgramTTSEmulator() as emulator, opened(emulator.part()) as session:
        say(session, "1", TEXT)
        await until_done(session.events(), "1")
        assert not session.unbilled()
        session.speak("2", LONG)
        rest = session.unbilled()
        assert [(usage.part, usage.amounts) for usage in rest] == [("tts", {"characters": len(LONG)})]
        assert not session.unbilled()
