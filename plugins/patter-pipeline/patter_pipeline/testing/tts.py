"""`check_tts`: what a voice must do, in the order in which it is tried.

1. **The class** has a usable name and implements this version of the contract. Its `repr` shows no secret.
2. **Formats** are known once `open()` returns, for carriers of each format, and do not change.
3. **A cancelled `open()`**, at any moment, leaves nothing open.
4. **Utterances** are spoken one after the other: the service has the text of each as it was given, all audio and words
   carry the id of their own, and each is done once, at its end. Two sessions at once are not mixed up.
5. **A cancelled utterance** is not heard any more, and is not done; the next one is spoken whole. Malformed messages
   are survived.
6. **Closing** ends `events()`, and can be repeated. A closed session takes text without raising.
7. **A failure** of the service, and a lost one, are an `EngineError` out of `events()`. A service that cannot be
   reached, or says nothing, is one out of `open()`.

No log line, error or `repr` shows a secret, and nothing is left open at the end.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable

import anyio

from patter_core.audio import ULAW_8000, AudioFormat
from patter_core.events import Usage, Word
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.fuzz import MALFORMED
from patter_pipeline.parts import TTS_API_VERSION, Spoken, TextToSpeech, TtsSession, UtteranceDone
from patter_pipeline.testing.emulators import TtsEmulator
from patter_pipeline.testing.sessions import FORMATS, Reader, check_usage, opened
from patter_pipeline.testing.steps import check_absent, check_class, check_open_cancelled, check_stalled

__all__ = ["check_tts"]

_PIECES = ("Good evening,", " the table is yours.", " See you at seven!")
_NEXT = "Is there anything else?"
_LONG = "We are open from seven in the morning until eleven at night, " * 8
_LEAST_MS = 200.0
"""Of audio, for a sentence."""
_LATE = 0.5
"""Seconds in which late audio of a cancelled utterance would come."""


async def check_tts(make_emulator: Callable[[], TtsEmulator], *, patience: float = 1.0) -> None:
    """Tries a voice against the whole of its contract. It takes some ten seconds.

    Args:
        make_emulator: makes the emulator of `Part.emulator`, whose `part()` is what is tried.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("tts", patience)
    with check.raises_only_failures(), check.watching_logs():
        async with check.leaving_nothing("The part, or its emulator,"):
            async with make_emulator() as emulator:
                check.keep_secret(emulator.secrets)
                await _check(check, emulator, emulator.part())
            await _check_absent(check, make_emulator)


async def _check(check: Check, emulator: TtsEmulator, part: TextToSpeech) -> None:
    open_one = functools.partial(part.open, preferred_format=ULAW_8000, voice="", language="")
    await check_class(check, part, TTS_API_VERSION)
    for format in FORMATS:
        check.now(f"formats, for a carrier of {format}")
        async with _opened(check, part, format) as voice:
            await voice.says("first", _NEXT)
    await check_open_cancelled(check, open_one)
    await _check_utterances(check, emulator, part)
    await _check_cancelled(check, emulator, part)
    check.now("closing")
    async with check.leaving_nothing("A closed session"), _opened(check, part) as voice:
        voice.session.speak("open", _PIECES[0])
        await voice.session.aclose()
        await voice.reader.ended("events() goes on after aclose().")
        check.require(voice.reader.error is None, "A session that is closed fails.", got=repr(voice.reader.error))
        voice.takes("A closed session")
    check.now("a failure of the service")
    async with check.leaving_nothing("A session that failed"), _opened(check, part) as voice:
        await voice.says("first", _NEXT)
        voice.session.speak("second", _LONG)
        await voice.until(lambda: bool(voice.audio_ms("second")), "An utterance is not spoken.")
        await emulator.fail()
        await voice.reader.fails("The service fails")
        voice.takes("A failed session")
    await check_stalled(check, emulator, open_one)


class _Voice:
    """A session, and what it said."""

    def __init__(self, check: Check, session: TtsSession, reader: Reader) -> None:
        self.session = session
        self.reader = reader
        self.until = reader.until
        self._check = check

    async def says(self, utterance: str, *pieces: str) -> None:
        """Has it say that, and waits until it is done."""
        for piece in pieces:
            self.speak(utterance, piece)
        self.finish(utterance)
        await self.done(utterance)

    def speak(self, utterance: str, text: str) -> None:
        with self._check.raises_only(problem="speak() raises."):
            answer: object = self.session.speak(utterance, text)
            self._check.require(answer is None, "speak() is not synchronous.", got=repr(answer))

    def finish(self, utterance: str) -> None:
        with self._check.raises_only(problem="finish() raises."):
            answer: object = self.session.finish(utterance)
            self._check.require(answer is None, "finish() is not synchronous.", got=repr(answer))

    def cancel(self, utterance: str) -> None:
        with self._check.raises_only(problem="cancel() raises."):
            answer: object = self.session.cancel(utterance)
            self._check.require(answer is None, "cancel() is not synchronous.", got=repr(answer))

    async def done(self, utterance: str) -> None:
        """Waits until an utterance is done, and checks that there was enough of it."""
        await self.until(
            lambda: UtteranceDone(utterance) in self.reader.events,
            "An utterance that was finished is never done.",
            mistake="text that is held back, or the end of it that is not told to the service",
        )
        spoken = self.audio_ms(utterance)
        self._check.require(
            spoken >= _LEAST_MS, "An utterance is done before its audio has come.", got=f"{spoken:.0f} ms of audio"
        )

    def audio_ms(self, utterance: str) -> float:
        return sum(event.chunk.duration_ms for event in self._spoken(utterance))

    def words(self, utterance: str) -> list[Word]:
        return [word for event in self._spoken(utterance) for word in event.words]

    def order(self) -> list[str]:
        """The utterances in the order in which they were spoken, each run of them once."""
        ids = [event.utterance for event in self.reader.events if isinstance(event, Spoken | UtteranceDone)]
        return [one for place, one in enumerate(ids) if place == 0 or ids[place - 1] != one]

    def takes(self, what: str) -> None:
        """A session that is over is given more."""
        with self._check.raises_only(problem=f"{what} raises.", mistake="a closed socket that is written to"):
            self.session.speak("late", _NEXT)
            self.session.finish("late")
            self.session.cancel("late")

    def _spoken(self, utterance: str) -> list[Spoken]:
        return [event for event in self.reader.events if isinstance(event, Spoken) and event.utterance == utterance]


@contextlib.asynccontextmanager
async def _opened(check: Check, part: TextToSpeech, format: AudioFormat = ULAW_8000) -> AsyncIterator[_Voice]:
    def read(session: TtsSession) -> Reader:
        done: set[str] = set()
        kinds = (Spoken, UtteranceDone, Usage)
        return Reader(check, session, kinds, lambda event: _take(check, session.output_format, done, event))

    open_one = functools.partial(part.open, preferred_format=format, voice="", language="")
    async with opened(check, "tts", open_one, read, "output_format") as (session, reader):
        yield _Voice(check, session, reader)


def _take(check: Check, format: AudioFormat, done: set[str], event: object) -> None:
    match event:
        case Usage():
            check_usage(check, event, "tts")
        case Spoken(utterance=utterance, chunk=chunk):
            check.require(
                chunk.format == format,
                "Audio is in another format than output_format.",
                expected=str(format),
                got=str(chunk.format),
            )
            check.require(utterance not in done, "Audio of an utterance comes after it was done.")
        case UtteranceDone(utterance=utterance):
            check.require(utterance not in done, "An utterance is done twice.", expected="one UtteranceDone")
            done.add(utterance)


async def _check_utterances(check: Check, emulator: TtsEmulator, part: TextToSpeech) -> None:
    check.now("utterances")
    before = len(emulator.given)
    async with _opened(check, part) as voice, _opened(check, part) as other:
        await voice.says("first", *_PIECES)
        check.require(
            [text.strip() for text in emulator.given[before:]] == ["".join(_PIECES)],
            "The service does not have the text as it was given.",
            expected="the pieces joined, with their blanks",
            got=repr(list(emulator.given[before:])),
        )
        _check_words(check, voice, "first", "".join(_PIECES))
        for utterance, text in (("second", _PIECES[0]), ("third", _NEXT)):  # both wait at once
            voice.speak(utterance, text)
            voice.finish(utterance)
        await voice.done("second")
        await voice.done("third")
        check.require(
            voice.order() == ["first", "second", "third"],
            "Utterances are mixed up.",
            expected="one after the other, in the order of their beginning",
            got=", ".join(voice.order()),
            mistake="audio that is given the id of the latest utterance, in place of its own",
        )
        check.now("two sessions at once")
        check.require(
            not other.order(), "Two sessions are mixed up.", expected="that only the one that speaks is heard"
        )
        await other.says("first", _NEXT)


def _check_words(check: Check, voice: _Voice, utterance: str, text: str) -> None:
    words = voice.words(utterance)
    times = [time for word in words for time in (word.start_ms, word.end_ms)]
    check.require(
        not words or ("".join(word.text for word in words).strip() == text.strip() and times == sorted(times)),
        "The words of an utterance are not its text.",
        expected="words that are the text together, blanks included, each once, with times in order",
        mistake="words of the normalised text, without their blanks, or with times of each chunk of audio",
    )
    check.require(
        not times or times[-1] <= voice.audio_ms(utterance) + 100,
        "Words lie outside of the audio of their utterance.",
        expected="times from the beginning of the utterance",
    )


async def _check_cancelled(check: Check, emulator: TtsEmulator, part: TextToSpeech) -> None:
    check.now("a cancelled utterance")
    async with _opened(check, part) as voice:
        voice.speak("first", _LONG)
        await voice.until(lambda: bool(voice.audio_ms("first")), "An utterance is not spoken before it is finished.")
        voice.cancel("first")
        heard = len(voice.reader.events)
        await anyio.sleep(_LATE)
        late = [event for event in voice.reader.events[heard:] if not isinstance(event, Usage)]
        check.require(
            not late,
            "After an utterance was cancelled, more of it comes.",
            expected="no audio of it, and no UtteranceDone",
            got=", ".join(sorted({type(event).__name__ for event in late})),
            mistake="audio that was on its way, and is given as if it were wanted",
            remedy="Remember which utterance is void, and drop audio that has its id.",
        )
        await voice.says("second", _NEXT)
        check.require(
            voice.order()[-1] == "second" and voice.order().count("first") == 1,
            "After an utterance was cancelled, its audio is given as that of the next.",
        )
        check.now("utterances that are cancelled before they are spoken")
        for utterance in ("unknown", "second"):
            voice.cancel(utterance)
        voice.speak("third", _PIECES[0])
        voice.speak("fourth", _NEXT)
        voice.finish("third")
        voice.cancel("third")
        voice.finish("fourth")
        await voice.done("fourth")
        check.now("malformed messages")
        for message in MALFORMED:
            await emulator.inject(message)
        await voice.says("fifth", _NEXT)


async def _check_absent(check: Check, make_emulator: Callable[[], TtsEmulator]) -> None:
    parts: list[TextToSpeech] = []
    up = anyio.Event()

    async def serve(stop: anyio.Event) -> None:
        async with make_emulator() as emulator:
            check.keep_secret(emulator.secrets)
            parts.append(emulator.part())
            up.set()
            await stop.wait()

    async def lose(stop: anyio.Event) -> None:
        await up.wait()
        async with _opened(check, parts[0]) as voice:
            await voice.says("first", _NEXT)
            voice.speak("second", _LONG)
            stop.set()
            await voice.reader.fails("The service is lost")
            voice.takes("A lost session")

    open_one = lambda: parts[0].open(preferred_format=ULAW_8000, voice="", language="")  # noqa: E731 - comes later
    await check_absent(check, serve, lose, lambda: parts[0], open_one)
