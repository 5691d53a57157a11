"""The voice of a call: utterances in, audio and words out, whatever becomes of the socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioFormat
from patter_core.errors import EngineError, EngineLost, EngineQuotaExceeded, EngineRefused
from patter_core.events import Usage
from patter_core.net.websocket import EngineSocket
from patter_elevenlabs import ElevenLabsTTS
from patter_elevenlabs.testing.speech import Refused
from patter_elevenlabs.testing.tts import ElevenLabsTTSEmulator
from patter_elevenlabs.testing.tts.synthesis import synthesise
from patter_elevenlabs.tts import wire
from patter_elevenlabs.tts.session import VoiceSession
from patter_pipeline.parts import Spoken, TtsEvent, TtsSession, UtteranceDone

pytestmark = pytest.mark.anyio

LONG = "We are open from seven in the morning until eleven at night, every day. " * 6


class Heard:
    """What a session says."""

    def __init__(self, session: TtsSession) -> None:
        self.session = session
        self.events: list[TtsEvent] = []
        self.error: EngineError | None = None
        self.over = False
        self._changed = anyio.Event()

    async def run(self) -> None:
        try:
            async for event in self.session.events():
                self.events.append(event)
                self._notify()
        except EngineError as error:
            self.error = error
        self.over = True
        self._notify()

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(10):
            while not condition():
                assert not self.over, self.error
                await self._changed.wait()

    async def done(self, *utterances: str) -> None:
        await self.until(lambda: {UtteranceDone(one) for one in utterances} <= set(self._dones()))

    async def ended(self) -> EngineError | None:
        with anyio.fail_after(10):
            while not self.over:
                await self._changed.wait()
        return self.error

    def audio(self, utterance: str) -> bytes:
        return b"".join(one.chunk.data for one in self.spoken(utterance))

    def spoken(self, utterance: str) -> list[Spoken]:
        return [one for one in self.events if isinstance(one, Spoken) and one.utterance == utterance]

    def characters(self) -> float:
        return sum(one.amounts["characters"] for one in self.events if isinstance(one, Usage))

    def _dones(self) -> list[UtteranceDone]:
        return [one for one in self.events if isinstance(one, UtteranceDone)]

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@contextlib.asynccontextmanager
async def heard(session: TtsSession) -> AsyncIterator[Heard]:
    """Reads a session's events, and closes it in the end."""
    told = Heard(session)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(told.run)
        try:
            yield told
        finally:
            await session.aclose()


async def opened(part: ElevenLabsTTS, format: AudioFormat = ULAW_8000) -> TtsSession:
    return await part.open(preferred_format=format, voice="", language="")


def say(session: TtsSession, utterance: str, *pieces: str) -> None:
    for piece in pieces:
        session.speak(utterance, piece)
    session.finish(utterance)


def tones(text: str, format: AudioFormat = ULAW_8000) -> bytes:
    """What the emulator says for a text that is the first of its context."""
    return b"".join(base64.b64decode(piece.audio) for piece in synthesise(f" {text} ", format, None))


async def direct(url: str, *, keep_alive: float = 60.0, refusals: int = 0) -> VoiceSession:
    """A session with a short sign of life, of which that many further connections fail."""
    left = [EngineLost("No.", retry=True)] * refusals

    async def connect() -> EngineSocket:
        if left:
            raise left.pop()
        return await EngineSocket.open(url, headers={"xi-api-key": "emulated-key"})

    first = await EngineSocket.open(url, headers={"xi-api-key": "emulated-key"})
    return VoiceSession(
        first, connect, ULAW_8000, lambda context_id: wire.Open(context_id=context_id), "m",
        keep_alive=keep_alive,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def scripted(service: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Heard]:
    """A session on a service that a test writes out."""
    async with serve(service, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with heard(await direct(url)) as told:
            yield told


def socket_url(emulator: ElevenLabsTTSEmulator, query: str = "output_format=ulaw_8000&auto_mode=true") -> str:
    return f"ws{emulator.base_url.removeprefix('http')}/v1/text-to-speech/{emulator.voice}/multi-stream-input?{query}"


# --- audio and words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [ULAW_8000, ALAW_8000, PCM16_16000])
async def test_audio_is_that_of_the_carrier_and_is_not_converted(format: AudioFormat) -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part(), format)) as told:
        assert told.session.output_format == format
        say(told.session, "u", "Good evening.")
        await told.done("u")
        assert told.audio("u") == tones("Good evening.", format)
    assert dict(emulator.queries[0])["output_format"] == str(format)


async def test_audio_stays_the_text_that_came() -> None:
    odd = "/////////x=="  # other bits in the last character than an encoder writes

    async def service(socket: ServerConnection) -> None:
        async for message in socket:
            if json.loads(message).get("flush"):
                await socket.send(json.dumps({"audio": odd, "contextId": "c1"}))

    async with scripted(service) as told:
        say(told.session, "u", "Yes.")
        await told.until(lambda: told.spoken("u"))
        assert told.spoken("u")[0].chunk.base64 == odd


async def test_words_are_those_of_our_text_with_times_from_the_beginning() -> None:
    text = "The table 7 is yours, at half past 8."
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        say(told.session, "u", text[:21], text[21:])
        await told.done("u")
    words = [word for one in told.spoken("u") for word in one.words]
    assert "".join(word.text for word in words) == text
    seven = next(word for word in words if word.text == "7 ")
    assert (seven.start_ms, seven.end_ms) == (11 * 50.0, 12 * 50.0)
    assert words[-1].end_ms <= len(told.audio("u")) / 8


async def test_without_alignments_there_are_no_words() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        emulator.timings = False
        say(told.session, "u", "Good evening.")
        await told.done("u")
    assert not any(one.words for one in told.spoken("u"))


async def test_an_alignment_in_an_unknown_form_costs_no_audio() -> None:
    async with ElevenLabsTTSEmulator(pace=0.5) as emulator, heard(await opened(emulator.part())) as told:
        told.session.speak("u", "Good evening.")
        await emulator.inject('{"audio":"/////w==","contextId":"c1","alignment":{"chars":7}}')
        await told.until(lambda: told.spoken("u"))
        assert told.audio("u") == b"\xff" * 4


# --- utterances -------------------------------------------------------------------------------------------------------


async def test_each_utterance_has_a_context_of_its_own_that_is_opened_flushed_and_closed() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        part = ElevenLabsTTS(emulator.api_key, emulator.voice, base_url=emulator.base_url, stability=0.4, speed=1.1)
        async with heard(await opened(part)) as told:
            say(told.session, "a", "Good evening,", " the table is yours.")
            say(told.session, "b", "Goodbye.")
            await told.done("a", "b")
        settings = {"stability": 0.4, "speed": 1.1}
        assert [json.loads(message) for message in emulator.received[:7]] == [
            {"text": " ", "context_id": "c1", "voice_settings": settings},
            {"text": "Good evening, ", "context_id": "c1"},
            {"text": "the table is yours. ", "context_id": "c1"},
            {"context_id": "c1", "flush": True},
            {"context_id": "c1", "close_context": True},
            {"text": " ", "context_id": "c2", "voice_settings": settings},
            {"text": "Goodbye. ", "context_id": "c2"},
        ]
        assert emulator.refusals == []
    kinds = [one.utterance for one in told.events if not isinstance(one, Usage)]
    assert kinds == sorted(kinds)


async def test_text_that_comes_while_another_utterance_is_said_waits() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.session.speak("a", "One moment.")
        say(told.session, "b", "Here it is.")
        await told.until(lambda: told.audio("a") == tones("One moment."))
        assert not told.spoken("b")
        told.session.speak("a", " Still searching.")
        told.session.finish("a")
        await told.done("a", "b")
        assert emulator.given == ["One moment. Still searching. ", "Here it is. "]


async def test_an_utterance_without_words_is_done_at_once_and_asks_for_nothing() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        say(told.session, "a", "  ")
        say(told.session, "b", "Yes.")
        await told.done("a", "b")
        assert emulator.given == ["Yes. "]


async def test_an_id_may_be_used_again() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        say(told.session, "a", "One.")
        say(told.session, "a", "Two.")
        await told.until(lambda: told.events.count(UtteranceDone("a")) == 2)
        assert told.audio("a") == tones("One.") + tones("Two.")


async def test_a_context_that_the_service_ends_by_itself_does_not_end_the_utterance() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.session.speak("u", "One.")
        await told.until(lambda: told.audio("u") == tones("One."))
        await emulator.inject('{"audio":null,"isFinal":true,"contextId":"c1"}')
        await anyio.sleep(0.1)
        say(told.session, "u", " Two.")
        await told.done("u")
        assert told.audio("u") == tones("One.") + tones("Two.")
        words = [word for one in told.spoken("u") for word in one.words]
    assert "".join(word.text for word in words) == "One. Two."
    assert words[1].start_ms >= len(tones("One.")) / 8


# --- cancelling -------------------------------------------------------------------------------------------------------


async def test_late_audio_of_a_cancelled_utterance_is_dropped_by_its_context() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.session.speak("a", LONG)
        await told.until(lambda: told.spoken("a"))
        told.session.cancel("a")
        before = len(told.spoken("a"))
        say(told.session, "b", "Yes?")
        await told.done("b")
        assert told.audio("b") == tones("Yes?")
        assert len(told.spoken("a")) == before
        assert emulator.contexts[0].closing
        assert UtteranceDone("a") not in told.events
        assert emulator.refusals == []


async def test_what_waits_to_be_taken_is_dropped_with_its_utterance() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        session = await opened(emulator.part())
        say(session, "a", "Good evening.")
        with anyio.fail_after(5):
            await emulator.changes.wait_until(lambda: bool(emulator.contexts) and emulator.contexts[0].over)
        await anyio.sleep(0.1)  # the end has arrived, and was not taken
        session.cancel("a")
        async with heard(session) as told:
            say(session, "b", "Yes?")
            await told.done("b")
            assert {one.utterance for one in told.events if not isinstance(one, Usage)} == {"b"}


async def test_a_waiting_utterance_that_is_cancelled_never_reaches_the_service() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.session.speak("a", "One.")
        say(told.session, "b", "Two.")
        told.session.cancel("b")
        told.session.finish("a")
        say(told.session, "c", "Three.")
        await told.done("a", "c")
        assert emulator.given == ["One. ", "Three. "]
        assert UtteranceDone("b") not in told.events


async def test_a_finished_utterance_that_is_cancelled_is_not_generated_to_its_end() -> None:
    async with ElevenLabsTTSEmulator(pace=2.0) as emulator, heard(await opened(emulator.part())) as told:
        say(told.session, "a", *LONG.split(" ")[:20])
        await told.until(lambda: told.spoken("a"))
        told.session.cancel("a")
        with anyio.fail_after(5):
            await emulator.changes.wait_until(lambda: len(emulator.queries) == 2)  # before anything is to be said
        left = len(emulator.contexts[0].speech)
        emulator.pace = 50.0
        say(told.session, "b", "Yes?")
        await told.done("b")
        assert told.audio("b") == tones("Yes?")
        assert len(emulator.contexts[0].speech) == left > 0


async def test_a_socket_that_cannot_be_opened_while_nothing_is_to_be_said_is_opened_when_something_is() -> None:
    async with (
        ElevenLabsTTSEmulator(pace=2.0) as emulator,
        heard(await direct(socket_url(emulator), refusals=1)) as told,
    ):
        say(told.session, "a", LONG)
        await told.until(lambda: told.spoken("a"))
        told.session.cancel("a")
        await anyio.sleep(0.05)  # it was tried meanwhile
        emulator.pace = 50.0
        say(told.session, "b", "Yes?")
        await told.done("b")


@pytest.mark.parametrize("finished", [False, True])
async def test_many_interruptions_do_not_exhaust_the_contexts_of_a_socket(finished: bool) -> None:
    async with ElevenLabsTTSEmulator(pace=2.0) as emulator, heard(await opened(emulator.part())) as told:
        for number in range(12):
            told.session.speak(str(number), LONG)
            if finished:
                told.session.finish(str(number))
            await anyio.sleep(0.01)
            told.session.cancel(str(number))
        emulator.pace = 50.0
        say(told.session, "last", "Yes?")
        await told.done("last")
        assert told.audio("last") == tones("Yes?")
        assert emulator.refusals == []


# --- the socket -------------------------------------------------------------------------------------------------------


async def test_a_socket_and_an_utterance_that_waits_for_text_are_kept_alive() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        emulator.text_timeout = 0.5
        async with heard(await direct(socket_url(emulator), keep_alive=0.1)) as told:
            await anyio.sleep(1.0)
            told.session.speak("u", "One moment.")
            await anyio.sleep(1.0)
            say(told.session, "u", " Here it is.")
            await told.done("u")
        assert len(emulator.queries) == 1
        assert '{"text":""}' in emulator.received
        assert '{"text":"","context_id":"c1"}' in emulator.received
        assert emulator.refusals == []


async def test_an_idle_socket_that_the_service_ends_is_opened_again_for_the_next_utterance() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        emulator.text_timeout = 0.2
        async with heard(await direct(socket_url(emulator))) as told:
            say(told.session, "a", "One.")
            await told.done("a")
            with anyio.fail_after(5):
                await emulator.changes.wait_until(lambda: not emulator.sockets)
            assert [refused.name for refused in emulator.refusals] == ["input_timeout_exceeded"]
            emulator.text_timeout = 20.0
            say(told.session, "b", "Two.")
            await told.done("b")
            assert told.audio("b") == tones("Two.")
        assert len(emulator.queries) == 2


async def test_an_utterance_that_meets_a_socket_which_is_gone_is_said_on_another_one() -> None:
    sockets: list[ServerConnection] = []

    async def service(socket: ServerConnection) -> None:
        sockets.append(socket)
        async for message in socket:
            told = json.loads(message)
            if len(sockets) == 1:
                await socket.close(1012)
            elif told.get("flush"):
                context = told["context_id"]
                await socket.send(json.dumps({"audio": "/////w==", "contextId": context}))
                await socket.send(json.dumps({"isFinal": True, "contextId": context}))

    async with scripted(service) as told:
        say(told.session, "u", "Yes.", " No.")
        await told.done("u")
        assert told.audio("u") == b"\xff" * 4
        assert told.characters() == len("Yes. No. ")
        assert len(sockets) == 2


async def test_a_service_that_never_takes_an_utterance_ends_the_session() -> None:
    sockets: list[ServerConnection] = []

    async def service(socket: ServerConnection) -> None:
        sockets.append(socket)
        async for _ in socket:
            await socket.close(1011)

    async with scripted(service) as told:
        say(told.session, "u", "Yes.")
        error = await told.ended()
        assert error is not None
        assert error.retry
        assert len(sockets) == 2


async def test_a_loss_in_an_utterance_ends_the_session_with_an_error_to_retry() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        told.session.speak("u", LONG)
        await told.until(lambda: told.spoken("u"))
        await emulator.drop()
        error = await told.ended()
        assert error is not None
        assert error.retry
        assert told.characters() == len(LONG)
        told.session.speak("v", "More.")
        assert len(emulator.queries) == 1


async def test_a_service_that_cannot_be_reached_again_ends_the_session() -> None:
    emulator = ElevenLabsTTSEmulator()
    await emulator.start()
    try:
        session = await opened(emulator.part())
    finally:
        await emulator.stop()
    async with heard(session) as told:
        say(told.session, "u", "Yes.")
        error = await told.ended()
    assert error is not None
    assert error.retry


async def test_closing_in_the_middle_of_opening_again_leaves_nothing() -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        session = await opened(emulator.part())
        async with heard(session) as told:
            await emulator.drop()
            emulator.stall()
            say(session, "u", "Yes.")
            await anyio.sleep(0.1)
            before = len(asyncio.all_tasks())
            with anyio.fail_after(2):
                await session.aclose()
                assert await told.ended() is None
            assert len(asyncio.all_tasks()) < before


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "voice", "remedy"),
    [("wrong", "voice_emulated", "ELEVENLABS_API_KEY"), ("emulated-key", "other", "My Voices")],
)
async def test_a_key_or_a_voice_that_is_refused_ends_the_session_at_once(key: str, voice: str, remedy: str) -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        part = ElevenLabsTTS(key, voice, base_url=emulator.base_url)
        async with heard(await opened(part)) as told:
            error = await told.ended()
    assert isinstance(error, EngineRefused)
    assert not error.retry
    assert remedy in error.remedy
    assert key not in str(error) or key == "emulated-key"


async def test_a_used_up_quota_is_told_as_such() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        say(told.session, "u", LONG)
        await told.until(lambda: told.spoken("u"))
        await emulator.fail_with(Refused("quota_exceeded", "This request exceeds your quota."))
        assert isinstance(await told.ended(), EngineQuotaExceeded)


@pytest.mark.parametrize(("status", "retry"), [(403, False), (429, True), (503, True)])
async def test_a_refused_upgrade_says_what_to_do(status: int, retry: bool) -> None:
    async with ElevenLabsTTSEmulator() as emulator:
        emulator.refuse_upgrade = status
        with pytest.raises(EngineRefused) as caught:
            await opened(emulator.part())
    assert (caught.value.status, caught.value.retry) == (status, retry)
    assert ("text_to_speech" in caught.value.remedy) == (status == 403)


async def test_a_fault_of_ours_ends_one_session_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: bytes) -> None:
        raise RuntimeError

    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        monkeypatch.setattr("patter_elevenlabs.tts.wire.decode", broken)
        say(told.session, "u", "Yes.")
        error = await told.ended()
    assert error is not None
    assert "bug" in error.remedy


# --- usage ------------------------------------------------------------------------------------------------------------


async def test_usage_is_the_characters_that_the_service_was_given_once() -> None:
    async with ElevenLabsTTSEmulator() as emulator, heard(await opened(emulator.part())) as told:
        say(told.session, "a", "One.")
        await told.done("a")
        told.session.speak("b", LONG)
        await told.until(lambda: told.spoken("b"))
        told.session.cancel("b")
        told.session.speak("c", "Three.")
        await told.until(lambda: told.spoken("c"))
        await told.session.aclose()
        await told.ended()
        assert told.characters() == sum(map(len, emulator.given))
    (first, *_) = [one for one in told.events if isinstance(one, Usage)]
    assert (first.part, first.vendor, first.model) == ("tts", "elevenlabs", "eleven_flash_v2_5")
    assert first.cost is not None
    assert float(first.cost.amount) == pytest.approx(5 * 0.05 / 1_000)


async def test_what_was_not_told_of_an_utterance_is_unbilled_once() -> None:
    async with ElevenLabsTTSEmulator() as service:
        session = await service.part().open(preferred_format=ULAW_8000, voice="", language="")
        session.speak("a", LONG)
        rest = session.unbilled()
        again = session.unbilled()
        await session.aclose()
    (usage,) = rest
    assert (usage.part, usage.amounts) == ("tts", {"characters": len(LONG)})
    assert not again
