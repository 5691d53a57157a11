"""What the voice is given, and what comes back, over sessions that come and go."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio
import pytest

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_core.errors import EngineRefused
from patter_core.events import Usage, Word
from patter_pipeline.parts import Spoken, TextToSpeech, TtsEvent, TtsSession, UtteranceDone
from patter_pipeline.speaking import Speaker, open_tts
from patter_pipeline.testing.fakes import FakeTtsEmulator
from patter_pipeline.testing.fakes.tts import CHARACTER_MS
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work

pytestmark = pytest.mark.anyio

Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Mouth:
    """A speaker, and what it tells."""

    def __init__(self, parts: list[TextToSpeech], work: Work, format: AudioFormat = ULAW_8000) -> None:
        self.told: list[inputs.Input] = []
        self.audio: dict[int, float] = {}
        self.words: dict[int, str] = {}
        self.billed: list[Usage] = []
        self.parts = parts
        self.format = format
        self.speaker = Speaker(
            parts,
            format,
            voice="",
            language="",
            on_audio=self._hear,
            take=self.told.append,
            report=self.billed.append,
            work=work,
            clock=time.monotonic,
        )

    def _hear(self, n: int, chunk: AudioChunk, words: Sequence[Word]) -> None:
        assert chunk.format == self.format
        self.audio[n] = self.audio.get(n, 0.0) + chunk.duration_ms
        self.words[n] = self.words.get(n, "") + "".join(word.text for word in words)

    async def begin(self) -> None:
        self.speaker.begin(0, await open_tts(self.parts[0], ULAW_8000, "", "", 5))

    def say(self, n: int, *pieces: str) -> None:
        for piece in pieces:
            self.speaker.speak(n, piece)
        self.speaker.finish(n)

    async def close(self) -> None:
        for session in self.speaker.close():
            await session.aclose()

    @property
    def ends(self) -> list[inputs.Input]:
        return [one for one in self.told if not isinstance(one, inputs.VoiceAudio)]


async def test_speeches_are_spoken_one_after_the_other(work: Work, until: Until) -> None:
    async with FakeTtsEmulator() as service:
        mouth = Mouth([service.part()], work)
        await mouth.begin()
        mouth.say(3, "Good", " evening.")
        mouth.say(4, "Hello.")
        await until(lambda: inputs.VoiceDone(4) in mouth.told)
        await mouth.close()
    assert mouth.ends == [inputs.VoiceDone(3), inputs.VoiceDone(4)]
    assert mouth.audio == {3: len("Good evening.") * CHARACTER_MS, 4: len("Hello.") * CHARACTER_MS}
    assert mouth.words[3] == "Good evening."
    assert list(service.given) == ["Good evening.", "Hello."]
    assert mouth.billed[0].amounts == {"characters": 19.0}


async def test_what_is_cancelled_is_neither_heard_nor_done(work: Work, until: Until) -> None:
    async with FakeTtsEmulator() as service:
        mouth = Mouth([service.part()], work)
        await mouth.begin()
        mouth.speaker.speak(1, "word " * 100)
        await until(lambda: 1 in mouth.audio)
        mouth.speaker.cancel(1)
        heard = mouth.audio[1]
        mouth.say(2, "Hello.")
        await until(lambda: inputs.VoiceDone(2) in mouth.told)
        await mouth.close()
    assert mouth.audio[1] == heard
    assert mouth.ends == [inputs.VoiceDone(2)]


async def test_a_session_that_is_lost_between_two_speeches_is_opened_anew(work: Work, until: Until) -> None:
    async with FakeTtsEmulator() as service:
        mouth = Mouth([service.part()], work)
        await mouth.begin()
        mouth.say(1, "Hello.")
        await until(lambda: inputs.VoiceDone(1) in mouth.told)
        await service.fail()
        await until(lambda: mouth.speaker.error is not None)
        assert not service.sockets
        mouth.say(2, "Good", " evening.")
        await until(lambda: inputs.VoiceDone(2) in mouth.told)
        await mouth.close()
    assert mouth.words == {1: "Hello.", 2: "Good evening."}
    assert mouth.ends == [inputs.VoiceDone(1), inputs.VoiceDone(2)]


async def test_one_that_is_lost_before_its_first_sound_says_it_all_the_same(work: Work, until: Until) -> None:
    async with FakeTtsEmulator(pace=0) as service:
        mouth = Mouth([service.part()], work)
        await mouth.begin()
        mouth.say(1, "Good", " evening.")
        await until(lambda: list(service.given) == ["Good evening."])
        service.pace = 8.0
        await service.fail()
        await until(lambda: inputs.VoiceDone(1) in mouth.told)
        await mouth.close()
    assert mouth.words == {1: "Good evening."}
    assert mouth.ends == [inputs.VoiceDone(1)]


async def test_one_that_is_lost_in_a_speech_is_told_and_a_reserve_goes_on(work: Work, until: Until) -> None:
    async with FakeTtsEmulator() as service, FakeTtsEmulator() as reserve:
        mouth = Mouth([service.part(), reserve.part()], work)
        await mouth.begin()
        mouth.speaker.speak(1, "word " * 100)
        await until(lambda: 1 in mouth.audio)
        await service.fail()
        await until(lambda: mouth.ends == [inputs.VoiceFailed(1)])
        mouth.speaker.use_reserve()
        mouth.say(1, "the rest.")
        await until(lambda: inputs.VoiceDone(1) in mouth.told)
        await mouth.close()
    assert list(reserve.given) == ["the rest."]


async def test_a_reserve_of_another_format_is_converted(work: Work, until: Until) -> None:
    class Wide(TextToSpeech):
        name = "wide"

        async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
            return await service.part().open(preferred_format=PCM16_16000, voice=voice, language=language)

    async with FakeTtsEmulator() as service:
        mouth = Mouth([Wide()], work)
        await mouth.begin()
        mouth.say(1, "Good evening.")
        await until(lambda: inputs.VoiceDone(1) in mouth.told)
        await mouth.close()
    assert mouth.audio[1] == pytest.approx(len("Good evening.") * CHARACTER_MS, abs=1)


class _Hostile(TtsSession):
    def __init__(self, mischief: object) -> None:
        self.mischief = mischief
        self.spoken = anyio.Event()
        self.utterance = ""

    output_format = ULAW_8000

    def speak(self, utterance: str, text: str) -> None:
        self.utterance = utterance
        self.spoken.set()
        if self.mischief == "speak":
            raise SystemExit

    def finish(self, utterance: str) -> None:
        if self.mischief == "finish":
            raise KeyError(utterance)

    def cancel(self, utterance: str) -> None:
        raise SystemExit

    async def events(self) -> AsyncIterator[TtsEvent]:
        await self.spoken.wait()
        yield Spoken(self.utterance, AudioChunk(b"\x00" * 160, ULAW_8000))
        match self.mischief:
            case BaseException() as error:
                raise error
            case "format":
                yield Spoken(self.utterance, AudioChunk(b"\x00" * 160, PCM16_16000))
            case "words":
                yield Spoken(self.utterance, AudioChunk(b"\x00" * 160, ULAW_8000), ("word",))  # type: ignore[arg-type]
            case "word times":
                word = Word(text="Hello.", start_ms=0.0, end_ms=math.nan)
                yield Spoken(self.utterance, AudioChunk(b"\x00" * 160, ULAW_8000), (word,))
            case "kind":
                yield UtteranceDone  # type: ignore[misc] # the mischief
            case "endless":
                for _ in range(20):  # seconds
                    yield Spoken(self.utterance, AudioChunk(b"\xff" * 8_000, ULAW_8000))
            case "end":
                return
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        raise SystemExit


@pytest.mark.parametrize(
    "mischief",
    ["speak", "finish", "format", "words", "word times", "kind", "endless", "end", SystemExit(), KeyError("x")],
    ids=repr,
)
async def test_whatever_comes_out_of_a_plugin_is_a_failure_of_the_speech(
    mischief: object, work: Work, until: Until
) -> None:
    class Part(TextToSpeech):
        name = "hostile"
        count = 0

        async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
            self.count += 1
            if self.count > 1:
                raise EngineRefused("No.")
            return _Hostile(mischief)

    mouth = Mouth([Part()], work)
    await mouth.begin()
    mouth.say(1, "Hello.")
    await until(lambda: mouth.ends == [inputs.VoiceFailed(1)])
    mouth.speaker.cancel(1)


async def test_a_reserve_that_takes_over_while_the_first_is_being_opened_is_not_failed_by_it(
    work: Work, until: Until
) -> None:
    class Lost(TextToSpeech):
        name = "lost"
        count = 0

        async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
            self.count += 1
            if self.count > 1:
                opening.set()
                await anyio.sleep(0.2)
                raise EngineRefused("No.")
            return _Hostile("end")

    opening = anyio.Event()
    async with FakeTtsEmulator() as reserve:
        mouth = Mouth([Lost(), reserve.part()], work)
        await mouth.begin()
        mouth.say(1, "Hello.")
        await until(lambda: mouth.ends == [inputs.VoiceFailed(1)])
        mouth.speaker.speak(1, "Hello.")
        await opening.wait()
        mouth.speaker.use_reserve()
        mouth.say(1, "Hello, all of you, once again.")
        await until(lambda: len(mouth.ends) == 2)
        await mouth.close()
    assert mouth.ends[-1] == inputs.VoiceDone(1)


async def test_audio_without_a_sample_is_no_sound(work: Work, until: Until) -> None:
    class Part(TextToSpeech):
        name = "mute"

        async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
            return Mute("end")

    class Mute(_Hostile):
        async def events(self) -> AsyncIterator[TtsEvent]:
            await self.spoken.wait()
            yield Spoken(self.utterance, AudioChunk(b"", ULAW_8000))
            yield UtteranceDone(self.utterance)
            await anyio.sleep_forever()

    mouth = Mouth([Part()], work)
    await mouth.begin()
    mouth.say(1, "…")
    await until(lambda: bool(mouth.told))
    assert (mouth.told, mouth.audio) == ([inputs.VoiceDone(1)], {})
