"""A service that breaks its protocol, floods, or goes away at a bad moment: sessions over a real socket."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Callable

import anyio
import msgspec
import pytest

from patter_core.aio import Changes
from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.engine import ConversationSetup, EngineSession
from patter_core.errors import EngineError, EngineFailed, EngineLost, EngineRefused
from patter_core.events import (
    EngineEvent,
    Interruption,
    ResponseDone,
    SpeechStarted,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    Usage,
)
from patter_core.telephony.leg import Leg
from patter_openai import wire
from patter_openai.live import wire as live
from patter_openai.testing import AgentScript, Behaviour, Conversation, ConversationOver, OpenAIRealtimeEmulator, Parrot
from patter_openai.testing import Reply as Response
from patter_openai.testing.live import LiveBehaviour, LiveConversation, OpenAILiveEmulator
from patter_openai.wire import Anomaly

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15005550006", to_number="+15005550001")
MEGABYTE = 2**20


class Got:
    """What a session gave so far."""

    def __init__(self, session: EngineSession) -> None:
        self.audio = bytearray()
        self.events: list[EngineEvent] = []
        self.error: EngineError | None = None
        self.over = False
        self._session = session
        self._changes = Changes()

    async def listen(self) -> None:
        try:
            async for item in self._session.events():
                if isinstance(item, AudioChunk):
                    self.audio += item.data
                else:
                    self.events.append(item)
                self._changes.notify()
        except EngineError as error:
            self.error = error
        self.over = True
        self._changes.notify()

    def count(self, kind: type[EngineEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    async def until(self, condition: Callable[[], object]) -> None:
        await self._changes.wait_until(lambda: bool(condition()))


@contextlib.asynccontextmanager
async def talking(
    agent: AgentScript | None = None, *, format: AudioFormat = ULAW_8000
) -> AsyncIterator[tuple[EngineSession, Conversation, Got]]:
    behaviour = Behaviour(agent=agent or Parrot())
    async with OpenAIRealtimeEmulator(behaviour) as emulator, anyio.create_task_group() as tasks:
        session = await emulator.engine().open(ConversationSetup(leg=LEG, preferred_format=format, resumed=True))
        got = Got(session)
        try:
            with anyio.fail_after(20):
                tasks.start_soon(got.listen)
                yield session, await emulator.conversation(), got
        finally:
            await session.aclose()
            tasks.cancel_scope.cancel()


async def still_answers(session: EngineSession, got: Got) -> None:
    """The conversation goes on."""
    before = got.count(ResponseDone)
    session.send_user_message("Still there?")
    await got.until(lambda: got.count(ResponseDone) > before or got.over)
    assert got.error is None
    assert got.count(ResponseDone) > before


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_ten_megabytes_of_what_is_not_used_are_passed_over() -> None:
    async with talking() as (session, talk, got):
        for text in (f'{{"type":"new.thing","what":"{"x" * 10 * MEGABYTE}"}}', "[" * 10 * MEGABYTE):
            await talk.send(text)
        await still_answers(session, got)


async def test_texts_of_ten_megabytes_are_cut() -> None:
    text = "word " * (2 * MEGABYTE)
    async with talking() as (session, talk, got):
        await talk.send(wire.TranscriptionCompleted(item_id="u", transcript=text))
        await talk.send(wire.TranscriptDone(response_id="r", item_id="i", transcript=text))
        await talk.send(wire.TranscriptDelta(response_id="r", item_id="i", delta=text))
        await talk.send(wire.ResponseDone(response=wire.Response(id="r", status="completed")))
        await got.until(lambda: got.count(TranscriptOutput))
        await still_answers(session, got)
    texts = [event.text for event in got.events if isinstance(event, TranscriptInput | TranscriptOutput)]
    assert [len(text) <= 100_000 for text in texts[:2]] == [True, True]
    assert texts[1].startswith("word word")


async def test_ten_megabytes_of_audio_in_one_message_are_all_there() -> None:
    audio = bytes(range(256)) * (7 * MEGABYTE // 256)
    async with talking() as (session, talk, got):
        delta = base64.b64encode(audio).decode()
        await talk.send(wire.AudioDelta(response_id="r", item_id="i", delta=delta))
        await got.until(lambda: len(got.audio) == len(audio))
        await talk.send(wire.ResponseDone(response=wire.Response(id="r", status="completed")))
        await got.until(lambda: got.count(ResponseDone))
        await still_answers(session, got)
    assert got.audio.startswith(audio)


async def test_a_message_beyond_all_measure_ends_the_session_and_another_may_follow() -> None:
    async with talking() as (_, talk, got):
        with contextlib.suppress(ConversationOver):
            await talk.send('"' + "x" * 17 * MEGABYTE + '"')
        await got.until(lambda: got.over)
    assert isinstance(got.error, EngineLost)
    assert got.error.retry


async def test_what_is_told_of_items_and_responses_that_are_not_known_does_no_harm() -> None:
    async with talking() as (session, talk, got):
        for message in (
            wire.AudioDone(response_id="none", item_id="none"),
            wire.ItemTruncated(item_id="none", audio_end_ms=5),
            wire.ItemDeleted(item_id="none"),
            wire.ResponseDone(response=wire.Response(id="none", status="cancelled")),
            wire.SpeechStopped(item_id="none", audio_end_ms=7),
            wire.TranscriptionFailed(item_id="none"),
            wire.ArgumentsDone(item_id="none", call_id="none", name="pay", arguments="{}"),
        ):
            await talk.send(message)
        await still_answers(session, got)
    assert got.count(ToolCall) == 0


async def test_audio_of_an_item_that_was_not_announced_is_spoken() -> None:
    async with talking() as (session, talk, got):
        delta = base64.b64encode(b"\x55" * 800).decode()
        await talk.send(wire.AudioDelta(response_id="none", item_id="none", delta=delta))
        await got.until(lambda: got.audio == b"\x55" * 800)
        await talk.send(wire.ResponseDone(response=wire.Response(id="none", status="completed")))
        await got.until(lambda: got.count(ResponseDone))
        await still_answers(session, got)
    assert got.count(ResponseDone) == 2


async def test_the_end_of_a_response_that_is_told_twice_is_one_and_is_billed_once() -> None:
    async with talking() as (session, talk, got):
        await still_answers(session, got)
        (done,) = [message for message in talk.sent if b'"response.done"' in message]
        await talk.send(done)
        await talk.send(done.decode())
        await still_answers(session, got)
        assert len(talk.replies) == 2
    assert (got.count(ResponseDone), got.count(Usage), got.count(TranscriptOutput)) == (2, 2, 2)


async def test_a_storm_of_speech_is_survived_and_the_caller_is_answered_after_it() -> None:
    async with talking() as (session, talk, got):
        for number in range(3_000):
            await talk.send(wire.SpeechStarted(item_id=f"storm_{number}", audio_start_ms=number))
        await talk.send(wire.SpeechStopped(item_id="storm_2999", audio_end_ms=3_000))
        await got.until(lambda: got.count(SpeechStarted) == 3_000)
        await still_answers(session, got)
    assert got.count(Interruption) == 3_000  # the core tells of those that a caller could hear


@pytest.mark.parametrize("format", [PCM16_16000, ALAW_8000])
async def test_audio_that_is_none_is_left_out_and_counted(
    format: AudioFormat, caplog: pytest.LogCaptureFixture
) -> None:
    async with talking(format=format) as (session, talk, got):
        broken = ["?", "AAA", "AAAA\\u0000", base64.b64encode(b"\x01").decode() * 2]
        broken += [base64.b64encode(b"\x01").decode()] if session.output_format.sample_width == 2 else []
        for delta in broken:
            await talk.send(
                f'{{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"{delta}"}}'
            )
        await still_answers(session, got)
    assert f"{len(broken)} × {Anomaly.BAD_AUDIO.value}" in caplog.text


async def test_arguments_of_a_megabyte_are_those_that_the_agent_meant() -> None:
    arguments = f'{{"text": "{"x" * MEGABYTE}"}}'

    async def agent(reply: Response) -> None:
        if len(reply.talk.replies) == 1:
            item = wire.Item(
                type="function_call", id="fc", call_id="call", name="note", arguments=arguments, status="completed"
            )
            await reply.talk.send(wire.OutputItemDone(response_id=reply.id, item=item))
        else:
            await Parrot()(reply)

    async with talking(agent) as (session, _, got):
        session.send_user_message("Write this down.")
        await got.until(lambda: got.count(ToolCall))
        (call,) = [event for event in got.events if isinstance(event, ToolCall)]
        assert call.arguments == arguments
        session.send_tool_result(ToolResult("call", "note", "Done."))
        await got.until(lambda: got.count(ResponseDone))
    assert got.error is None


# --- the opening ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "kind"), [(1000, EngineLost), (1011, EngineFailed), (1008, EngineRefused)])
async def test_a_service_that_goes_away_while_it_is_configured(code: int, kind: type[EngineError]) -> None:
    async with OpenAIRealtimeEmulator(Behaviour(configure_delay=10.0)) as emulator, anyio.create_task_group() as tasks:

        async def go_away() -> None:
            talk = await emulator.conversation()
            await talk.until(lambda: bool(talk.messages))
            with contextlib.suppress(ConversationOver):
                await talk.close(code)

        tasks.start_soon(go_away)
        with anyio.fail_after(5), pytest.raises(kind) as caught:
            await emulator.engine().open(ConversationSetup(leg=LEG, preferred_format=ULAW_8000))
    assert caught.value.retry is (code != 1008)


@pytest.mark.parametrize(
    ("audio", "is_taken"),
    [
        ('{"input":{"format":{"type":"audio/pcmu"}},"output":{"format":{"type":"audio/pcm","rate":24000}}}', False),
        ('{"input":{"format":{"type":"audio/pcma"}}}', False),
        ('{"input":{"format":{"type":"audio/pcmu"}},"output":{"format":{"type":"audio/pcmu"}}}', True),
        ('{"output":{"format":null}}', True),
        ("7", True),
    ],
)
async def test_a_configuration_with_another_format_is_a_failure_and_not_noise(
    audio: str, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = wire.SessionInfo(id="sess_1", audio=msgspec.Raw(audio.encode()))
    monkeypatch.setattr(Conversation, "session_info", lambda _: info)
    async with OpenAIRealtimeEmulator() as emulator:
        opening = emulator.engine().open(ConversationSetup(leg=LEG, preferred_format=ULAW_8000))
        if is_taken:
            await (await opening).aclose()
            return
        with pytest.raises(EngineFailed, match="another audio format") as caught:
            await opening
        assert caught.value.expected == "audio/pcmu"


# --- GPT-Live ---------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def living(behaviour: LiveBehaviour | None = None) -> AsyncIterator[tuple[EngineSession, LiveConversation, Got]]:
    async with OpenAILiveEmulator(behaviour) as emulator, anyio.create_task_group() as tasks:
        session = await emulator.engine().open(ConversationSetup(leg=LEG, preferred_format=ULAW_8000, resumed=True))
        got = Got(session)
        try:
            with anyio.fail_after(20):
                tasks.start_soon(got.listen)
                yield session, await emulator.conversation(), got
        finally:
            await session.aclose()
            tasks.cancel_scope.cancel()


async def test_a_live_session_survives_floods_and_nonsense() -> None:
    async with living() as (session, talk, got):
        for text in ("", "[" * MEGABYTE, f'{{"type":"new.thing","what":"{"x" * 10 * MEGABYTE}"}}'):
            await talk.send(text)
        await talk.send(live.InputTranscript(delta="word " * MEGABYTE, start_ms=0, end_ms=1))
        await talk.send(live.OutputTranscript(delta="word " * MEGABYTE, start_ms=0, end_ms=1))
        for seconds in (9.0, 3.0, -1.0, 9.0):  # a sum that does not grow bills nothing
            await talk.send(live.Usage(usage=live.Seconds(seconds=seconds)))
        item = wire.Item(type="function_call", id="fc", call_id="call", name="x", arguments="{}", status="completed")
        for _ in range(2):
            event = live.StreamEvent(type="response.output_item.done", item=item)
            await talk.send(live.ResponseEvent(event=event, delegation_id="unknown"))
        for _ in range(10):  # its audio never stops
            await talk.send(live.OutputAudio(delta=base64.b64encode(b"\x55" * 800).decode()))
        await got.until(lambda: got.audio == b"\x55" * 8_000 and got.count(TranscriptOutput))
        session.send_tool_result(ToolResult("call", "x", "Done."))
        await talk.until(lambda: talk.outputs == {"call": "Done."})
    assert got.error is None
    assert got.count(ToolCall) == 1
    assert [usage.amounts["seconds"] for usage in got.events if isinstance(usage, Usage)] == [9.0]
    texts = [event.text for event in got.events if isinstance(event, TranscriptInput | TranscriptOutput)]
    assert all(len(text) <= 100_000 for text in texts)


async def test_a_live_session_that_ends_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, kind in ((1011, EngineFailed), (1000, EngineLost)):

        async def go_away(talk: LiveConversation, message: object, code: int = code) -> None:
            if isinstance(message, live.Started):
                await talk.close(code)

        with monkeypatch.context() as patch:
            patch.setattr(LiveConversation, "send", go_away)
            async with OpenAILiveEmulator() as emulator:
                with anyio.fail_after(5), pytest.raises(kind):
                    await emulator.engine().open(ConversationSetup(leg=LEG, preferred_format=ULAW_8000))


@pytest.mark.parametrize(("status", "retry"), [(401, False), (403, False), (404, False), (429, True), (500, True)])
async def test_a_refused_live_session_says_what_to_do(status: int, retry: bool) -> None:
    async with OpenAILiveEmulator(LiveBehaviour(refuse_upgrade=status)) as emulator:
        with pytest.raises(EngineRefused) as caught:
            await emulator.engine().open(ConversationSetup(leg=LEG, preferred_format=ULAW_8000))
    assert (caught.value.status, caught.value.retry) == (status, retry)
    assert bool(caught.value.remedy) or status == 500
