"""The checks of parts: sound ones keep their contracts; each with one mistake fails, for the reason that is its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import ClassVar

import anyio
import pytest

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import ConformanceError, EngineError
from patter_core.events import ToolCall, Usage
from patter_core.net.websocket import EngineSocket
from patter_core.telephony.outcome import HangUp
from patter_pipeline.parts import (
    PASS,
    Act,
    Block,
    Final,
    Guardrail,
    Interim,
    LlmEvent,
    LlmRequest,
    Replace,
    Spoken,
    SttEvent,
    SttSession,
    TextDelta,
    TtsEvent,
    TtsSession,
    TurnDetector,
    UtteranceDone,
    Verdict,
    VoiceActivity,
)
from patter_pipeline.testing import (
    check_guardrail,
    check_llm,
    check_stt,
    check_tts,
    check_turn_detector,
    check_vad,
)
from patter_pipeline.testing.fakes import (
    FakeLlm,
    FakeLlmEmulator,
    FakeStt,
    FakeSttEmulator,
    FakeTts,
    FakeTtsEmulator,
)
from patter_pipeline.testing.fakes.stt import FakeSttSession
from patter_pipeline.testing.fakes.tts import FakeTtsSession

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("declares", [{"ends_turns": True}, {"interims": True}, {"interims": False}])
async def test_sound_speech_recognition_keeps_its_contract(declares: dict[str, bool]) -> None:
    await check_stt(lambda: FakeSttEmulator(**declares))


async def test_a_sound_voice_keeps_its_contract() -> None:
    await check_tts(FakeTtsEmulator)


async def test_a_sound_model_keeps_its_contract() -> None:
    await check_llm(FakeLlmEmulator)


# --- speech recognition ----------------------------------------------------------------------------------------------


class SttThatShows(FakeStt):
    def __repr__(self) -> str:
        return "<SttThatShows secret-4711>"


class SttEmulatorWithKey(FakeSttEmulator):
    @property
    def secrets(self) -> list[str]:
        return ["secret-4711"]

    def part(self) -> FakeStt:
        return SttThatShows(self.url)


def stt_of(session: type[FakeSttSession]) -> Callable[[], FakeSttEmulator]:
    """An emulator whose part opens sessions of that class."""

    class Broken(FakeStt):
        async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
            return session(await EngineSocket.open(self._url, open_timeout=3.0), preferred_format)

    class BrokenEmulator(FakeSttEmulator):
        def part(self) -> FakeStt:
            return Broken(self.url)

    return BrokenEmulator


class NoInterims(FakeSttSession):
    async def events(self) -> AsyncIterator[SttEvent]:
        async for event in super().events():
            if not isinstance(event, Interim):
                yield event


class DeclaresNoInterims(FakeSttEmulator):
    def part(self) -> FakeStt:
        return FakeStt(self.url, interims=False)


class HalfOfTheAudio(FakeSttSession):
    def send_audio(self, chunk: AudioChunk) -> None:
        super().send_audio(AudioChunk(chunk.data[::2], chunk.format))


class TextsTwice(FakeSttSession):
    async def events(self) -> AsyncIterator[SttEvent]:
        async for event in super().events():
            yield event
            if isinstance(event, Final):
                yield event


class Seconds(FakeSttSession):
    async def events(self) -> AsyncIterator[SttEvent]:
        async for event in super().events():
            yield Final(event.text, event.ended_ms, event.started_ms) if isinstance(event, Final) else event


class EndsWithoutError(FakeSttSession):
    async def events(self) -> AsyncIterator[SttEvent]:
        try:
            async for event in super().events():
                yield event
        except EngineError:
            pass


class KeepsAll(FakeSttSession):
    kept: ClassVar[list[AudioChunk]] = []

    def send_audio(self, chunk: AudioChunk) -> None:
        self.kept.append(chunk)


class RaisesWhenClosed(FakeSttSession):
    def finalize(self) -> None:
        if self._closed:
            raise RuntimeError("closed")
        super().finalize()


class UsageOfAnother(FakeSttSession):
    async def events(self) -> AsyncIterator[SttEvent]:
        async for event in super().events():
            yield Usage(part="tts", vendor="fake", amounts=event.amounts) if isinstance(event, Usage) else event


class BillsAgain(FakeSttSession):
    def unbilled(self) -> list[Usage]:
        return [Usage(part="stt", vendor="fake", amounts={"seconds": 1.0})]


@pytest.mark.parametrize(
    ("emulator", "words"),
    [
        (stt_of(BillsAgain), "the same again"),
        (SttEmulatorWithKey, r"in repr\(\) of the part"),
        (stt_of(HalfOfTheAudio), "does not have all audio"),
        (stt_of(NoInterims), "An interim text is not told"),
        (DeclaresNoInterims, "told by a part that declares none"),
        (stt_of(TextsTwice), "Texts are not what the service recognised"),
        (stt_of(Seconds), "lies outside of the audio"),
        (stt_of(EndsWithoutError), "ends as if the session had been closed"),
        (stt_of(RaisesWhenClosed), "A closed session raises"),
        (stt_of(UsageOfAnother), "Usage is of another part"),
        (stt_of(KeepsAll), "does not have all audio"),
    ],
)
async def test_a_mistake_in_speech_recognition(emulator: Callable[[], FakeSttEmulator], words: str) -> None:
    with pytest.raises(ConformanceError, match=words):
        await check_stt(emulator, patience=0.3)  # what never comes is not waited for for long
    KeepsAll.kept.clear()


class Hoards(FakeSttSession):
    """Sends what it can, and keeps the rest for ever."""

    def __init__(self, socket: EngineSocket, format: AudioFormat) -> None:
        super().__init__(socket, format)
        self._hoard: list[bytes] = []

    def send_audio(self, chunk: AudioChunk) -> None:
        self._hoard.append(bytes(chunk.data))
        super().send_audio(chunk)


async def test_speech_recognition_that_hoards_audio() -> None:
    with pytest.raises(ConformanceError, match="kept without bound"):
        await check_stt(stt_of(Hoards))


# --- voices ----------------------------------------------------------------------------------------------------------


def tts_of(session: type[FakeTtsSession]) -> Callable[[], FakeTtsEmulator]:
    """An emulator whose part opens sessions of that class."""

    class Broken(FakeTts):
        async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
            return session(await EngineSocket.open(self._url, open_timeout=3.0), preferred_format)

    class BrokenEmulator(FakeTtsEmulator):
        def part(self) -> FakeTts:
            return Broken(self.url)

    return BrokenEmulator


class SpeaksOn(FakeTtsSession):
    def cancel(self, utterance: str) -> None:
        """Gives nothing up."""


class StripsBlanks(FakeTtsSession):
    def speak(self, utterance: str, text: str) -> None:
        super().speak(utterance, text.strip())


class NeverDone(FakeTtsSession):
    async def events(self) -> AsyncIterator[TtsEvent]:
        async for event in super().events():
            if not isinstance(event, UtteranceDone):
                yield event


class WordsAgain(FakeTtsSession):
    async def events(self) -> AsyncIterator[TtsEvent]:
        async for event in super().events():
            yield Spoken(event.utterance, event.chunk, event.words * 2) if isinstance(event, Spoken) else event


class IdOfTheLatest(FakeTtsSession):
    _latest = ""

    def speak(self, utterance: str, text: str) -> None:
        self._latest = utterance
        super().speak(utterance, text)

    async def events(self) -> AsyncIterator[TtsEvent]:
        async for event in super().events():
            yield Spoken(self._latest, event.chunk) if isinstance(event, Spoken) else event


class BillsBackwards(FakeTtsSession):
    def unbilled(self) -> list[Usage]:
        return [Usage(part="tts", vendor="fake", amounts={"characters": -1.0})]


class CannotBill(FakeTtsSession):
    def unbilled(self) -> list[Usage]:
        raise RuntimeError("closed")


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (BillsBackwards, "negative"),
        (CannotBill, r"unbilled\(\) raises"),
        (SpeaksOn, "After an utterance was cancelled, more of it comes"),
        (StripsBlanks, "does not have the text as it was given"),
        (NeverDone, "is never done"),
        (WordsAgain, "words of an utterance are not its text"),
        (IdOfTheLatest, "before its audio has come|mixed up"),
    ],
)
async def test_a_mistake_in_a_voice(session: type[FakeTtsSession], words: str) -> None:
    with pytest.raises(ConformanceError, match=words):
        await check_tts(tts_of(session), patience=0.5)


# --- models ----------------------------------------------------------------------------------------------------------


class Gathers(FakeLlm):
    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        text = ""
        async for event in super().stream(request):
            if isinstance(event, TextDelta):
                text += event.text
            else:
                yield event
        yield TextDelta(text)


class ForgetsTools(FakeLlm):
    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        less = LlmRequest(instructions=request.instructions, history=request.history)
        async for event in super().stream(less):
            yield event


class CallsInPieces(FakeLlm):
    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        async for event in super().stream(request):
            yield ToolCall(event.id, event.name, event.arguments[:5]) if isinstance(event, ToolCall) else event


class ReadsOn(FakeLlm):
    """A task of its own reads, and is not cancelled with the answer."""

    tasks: ClassVar[set[object]] = set()

    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        queue: asyncio.Queue[LlmEvent | BaseException | None] = asyncio.Queue()

        async def read() -> None:
            try:
                async for event in FakeLlm.stream(self, request):
                    queue.put_nowait(event)
                queue.put_nowait(None)
            except Exception as error:  # noqa: BLE001
                queue.put_nowait(error)

        self.tasks.add(asyncio.get_running_loop().create_task(read()))
        while (event := await queue.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event


class Swallows(FakeLlm):
    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmEvent]:
        try:
            async for event in super().stream(request):
                yield event
        except EngineError:
            return


def llm_of(part: type[FakeLlm]) -> Callable[[], FakeLlmEmulator]:
    """An emulator of that part."""

    class BrokenEmulator(FakeLlmEmulator):
        def part(self) -> FakeLlm:
            return part(self.url)

    return BrokenEmulator


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Gathers, "given in one piece"),
        (ForgetsTools, "does not reach the service"),
        (CallsInPieces, "no JSON"),
        (ReadsOn, "goes on at the service"),
        (Swallows, "before its first word succeeds"),
    ],
)
async def test_a_mistake_in_a_model(part: type[FakeLlm], words: str) -> None:
    with pytest.raises(ConformanceError, match=words):
        await check_llm(llm_of(part))


# --- what listens and judges -----------------------------------------------------------------------------------------


class ByLoudness(VoiceActivity):
    name: ClassVar[str] = "loudness"

    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        silence = format.silence[0]
        return lambda chunk: float(sum(byte != silence for byte in chunk.data[::4]) > chunk.size // 8)


class Always(ByLoudness):
    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        return lambda _: 1.0


class Percent(ByLoudness):
    def start(self, format: AudioFormat) -> Callable[[AudioChunk], float]:
        inner = super().start(format)
        return lambda chunk: 100 * inner(chunk)


async def test_voice_activity() -> None:
    await check_vad(ByLoudness)
    with pytest.raises(ConformanceError, match="Silence is taken for speech"):
        await check_vad(Always)
    with pytest.raises(ConformanceError, match="probability of speech is none"):
        await check_vad(Percent)


class ByMark(TurnDetector):
    name: ClassVar[str] = "mark"

    async def complete(self, text: str, audio: AudioChunk) -> float:
        return 0.9 if text.endswith(".") else 0.2


class Ponders(ByMark):
    async def complete(self, text: str, audio: AudioChunk) -> float:
        await anyio.sleep(0.4)
        return await super().complete(text, audio)


class NeedsText(ByMark):
    async def complete(self, text: str, audio: AudioChunk) -> float:
        return float(text[-1] == ".")


async def test_a_turn_detector() -> None:
    await check_turn_detector(ByMark)
    with pytest.raises(ConformanceError, match="too late"):
        await check_turn_detector(Ponders)
    with pytest.raises(ConformanceError, match=r"complete\(\) raises"):
        await check_turn_detector(NeedsText)


class Polite(Guardrail):
    name: ClassVar[str] = "polite"

    async def caller_said(self, text: str) -> Verdict:
        return Act(action=HangUp(), say="Goodbye.") if "1 2 3 4" in text else PASS

    async def agent_says(self, sentence: str) -> Verdict:
        return Replace("Hello.") if sentence == "Good evening." else Block()


class Loose(Polite):
    async def agent_says(self, sentence: str) -> Verdict:
        return sentence  # type: ignore[return-value] # the mistake


class Slow(Polite):
    async def caller_said(self, text: str) -> Verdict:
        await anyio.sleep(5)
        return PASS


async def test_a_guardrail() -> None:
    await check_guardrail(Polite)
    with pytest.raises(ConformanceError, match="returns no verdict"):
        await check_guardrail(Loose)
    with pytest.raises(ConformanceError, match="does not answer in time"):
        await check_guardrail(Slow)
