"""`check_stt`: what a part for speech recognition must do, in the order in which it is tried.

1. **The class** has a usable name and implements this version of the contract. Its `repr` shows no secret.
2. **Formats** are known once `open()` returns, for carriers of each format, and do not change.
3. **A cancelled `open()`**, at any moment, leaves nothing open.
4. **Two sessions at once** are not mixed up: the service has all audio of each, and what it recognises is told once, in
   order, with times in the audio. Malformed messages that come between are survived.
5. **Ends of turns, and interim texts,** are told where the part declares them (`ends_turns`, `interims`), and nowhere
   else.
6. **More audio than the service takes** is dropped, counted, and never waited for.
7. **Closing** ends `events()`, and can be repeated. A closed session takes audio without raising.
8. **A failure** of the service, and a lost one, are an `EngineError` out of `events()`. A service that cannot be
   reached, or says nothing, is one out of `open()`.

No log line, error or `repr` shows a secret, and nothing is left open at the end.
"""

from __future__ import annotations

import contextlib
import functools
import tracemalloc
from collections.abc import AsyncIterator, Callable

import anyio

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.events import Usage
from patter_core.testing.conformance.check import Check
from patter_core.testing.conformance.fuzz import MALFORMED
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline.parts import (
    STT_API_VERSION,
    EagerEnd,
    EndOfTurn,
    Final,
    Interim,
    SpeechToText,
    SttSession,
    TurnResumed,
)
from patter_pipeline.testing.emulators import SttEmulator
from patter_pipeline.testing.sessions import FORMATS, REPORT_WITHIN, Reader, check_usage, opened
from patter_pipeline.testing.steps import check_absent, check_class, check_open_cancelled, check_stalled

__all__ = ["check_stt"]

_SAID = "I would like to book a table,"
_SAID_AFTER = "for two."
_FRAME_MS = 20.0
_FLOOD_SECONDS = 2_400
"""Of audio at once: more than all sockets between here and the emulator can hold."""
_MOST_KEPT = 8 * 2**20
"""Bytes that a part may keep of such a flood."""
_LENIENCE_MS = 50.0
"""How far times may lie beyond the audio, by rounding."""


async def check_stt(make_emulator: Callable[[], SttEmulator], *, patience: float = 1.0) -> None:
    """Tries a part for speech recognition against the whole of its contract. It takes some ten seconds.

    Args:
        make_emulator: makes the emulator of `Part.emulator`, whose `part()` is what is tried.
        patience: a factor for all bounds in time: more for a slow machine.

    Raises:
        ConformanceError: the contract is not kept; the error says what was tried, expected and got.
    """
    check = Check("stt", patience)
    with check.raises_only_failures(), check.watching_logs():
        async with check.leaving_nothing("The part, or its emulator,"):
            async with make_emulator() as emulator:
                check.keep_secret(emulator.secrets)
                await _check(check, emulator, emulator.part())
            await _check_absent(check, make_emulator)


async def _check(check: Check, emulator: SttEmulator, part: SpeechToText) -> None:
    open_one = functools.partial(part.open, preferred_format=ULAW_8000, language="")
    await check_class(check, part, STT_API_VERSION)
    for format in FORMATS:
        check.now(f"formats, for a carrier of {format}")
        async with _opened(check, part, format) as talk:
            await talk.speak(b"")
    await check_open_cancelled(check, open_one)
    await _check_recognition(check, emulator, part)
    if part.ends_turns:
        await _check_eager(check, emulator, part)
    await _check_flood(check, part)
    await _check_closed(check, part)
    check.now("a failure of the service")
    async with check.leaving_nothing("A session that failed"), _opened(check, part) as talk:
        await talk.speak(CALLER_LINES[0].audio(talk.format)[: talk.format.size(200)])
        await emulator.fail()
        await talk.reader.fails("The service fails")
        talk.takes("A failed session")
    await check_stalled(check, emulator, open_one)


class _Talk:
    """A session, and what it was given."""

    def __init__(self, check: Check, session: SttSession, reader: Reader) -> None:
        self.session = session
        self.reader = reader
        self.format = session.input_format
        self.given = bytearray()
        self._check = check

    async def speak(self, audio: bytes) -> None:
        """Gives that audio in real time, and a frame of silence before it."""
        size = self.format.size(_FRAME_MS)
        audio = self.format.silence * (size // self.format.sample_width) + audio
        due = anyio.current_time()
        for start in range(0, len(audio) - len(audio) % size, size):
            self.give(audio[start : start + size])
            due += _FRAME_MS / 1000
            await anyio.sleep_until(due)

    def give(self, data: bytes) -> None:
        """Gives one chunk."""
        with self._check.raises_only(problem="send_audio() raises."):
            answer: object = self.session.send_audio(AudioChunk(data, self.format))
            self._check.require(answer is None, "send_audio() is not synchronous.", got=repr(answer))
        self.given += data

    def finalize(self) -> None:
        """Asks for the final text."""
        with self._check.raises_only(problem="finalize() raises."):
            self.session.finalize()

    def takes(self, what: str) -> None:
        """A session that is over is given more."""
        with self._check.raises_only(problem=f"{what} raises.", mistake="a closed socket that is written to"):
            self.session.send_audio(AudioChunk(self.format.silence * 160, self.format))
            self.session.finalize()

    def texts(self, kind: type[Interim | Final | EagerEnd | EndOfTurn]) -> list[str]:
        """The texts of all events of a kind so far."""
        return [event.text for event in self.reader.events if isinstance(event, kind)]

    @property
    def given_ms(self) -> float:
        return self.format.duration_ms(len(self.given))


@contextlib.asynccontextmanager
async def _opened(check: Check, part: SpeechToText, format: AudioFormat = ULAW_8000) -> AsyncIterator[_Talk]:
    talks: list[_Talk] = []

    def read(session: SttSession) -> Reader:
        kinds = (Interim, Final, EagerEnd, TurnResumed, EndOfTurn, Usage)
        return Reader(check, session, kinds, lambda event: _take(check, part, talks[0], event))

    open_one = functools.partial(part.open, preferred_format=format, language="")
    async with opened(check, "stt", open_one, read, "input_format") as (session, reader):
        talks.append(_Talk(check, session, reader))
        yield talks[0]


def _take(check: Check, part: SpeechToText, talk: _Talk, event: object) -> None:
    match event:
        case Usage():
            check_usage(check, event, "stt")
        case EagerEnd() | TurnResumed() | EndOfTurn() if not part.ends_turns:
            raise check.failed(
                "An end of a turn is told by a part that declares none.",
                expected="ends_turns = True, or no such event",
                got=type(event).__name__,
            )
        case Interim() if not part.interims:
            raise check.failed(
                "An interim text is told by a part that declares none.",
                expected="interims = True, or no Interim",
                mistake="a service that tells them, and a class variable that was forgotten",
            )
        case Interim(started_ms=started) | EndOfTurn(started_ms=started):
            _check_times(check, talk, (0.0, started))
        case Final(started_ms=started, ended_ms=ended, words=words):
            _check_times(check, talk, (0.0, started, ended))
            for word in words:
                _check_times(check, talk, (started - _LENIENCE_MS, word.start_ms, word.end_ms))


def _check_times(check: Check, talk: _Talk, times: tuple[float, ...]) -> None:
    check.require(
        list(times) == sorted(times) and times[-1] <= talk.given_ms + _LENIENCE_MS,
        "A text lies outside of the audio that the session was given.",
        expected=f"times in order, up to {talk.given_ms:.0f} ms",
        got=" and ".join(f"{time:.0f}" for time in times[1:]),
        mistake="seconds in place of ms, or a clock in place of the audio",
    )


async def _check_recognition(check: Check, emulator: SttEmulator, part: SpeechToText) -> None:
    end = EndOfTurn if part.ends_turns else Final
    before = len(emulator.heard)
    async with _opened(check, part) as talk, _opened(check, part) as other:
        check.now("recognition")
        await talk.speak(CALLER_LINES[0].audio(talk.format)[: talk.format.size(800)])
        await other.speak(CALLER_LINES[1].audio(other.format)[: other.format.size(300)])
        await emulator.interim(_SAID[:12])
        mistake = "messages of the service that are not read"
        if part.interims:
            await talk.reader.until(
                lambda: talk.texts(Interim) == [_SAID[:12]],
                "An interim text is not told by a part that declares them (`interims`).",
                mistake,
            )
        check.now("malformed messages")
        for message in MALFORMED:
            await emulator.inject(message)
        check.now("recognition")
        for number, text in enumerate((_SAID, _SAID_AFTER), 1):
            await talk.speak(CALLER_LINES[0].audio(talk.format)[: talk.format.size(200)])
            talk.finalize()
            await (emulator.end_turn(text) if part.ends_turns else emulator.final(text))
            done = functools.partial(_has, talk, end, number)
            await talk.reader.until(done, f"A {end.__name__} is not told.", mistake)
            await other.reader.until(functools.partial(_has, other, end, number), f"A {end.__name__} is not told.")
        for one in (talk, other):
            check.require(
                one.texts(end) == [_SAID, _SAID_AFTER],
                "Texts are not what the service recognised.",
                expected="each once, in order, and as they are",
                got=f"{len(one.texts(end))} texts",
            )
        check.now("the audio of two sessions at once")
        for one in (talk, other):
            with check.within(
                REPORT_WITHIN,
                "The service does not have all audio of a session as it was given.",
                mistake="audio that is converted, held back, or mixed up with that of another session",
            ):
                # A cancelled open() may reach the service late, and then has a place of its own among them.
                while bytes(one.given) not in emulator.heard[before:]:  # noqa: ASYNC110 - nothing tells of it
                    await anyio.sleep(0.01)
        check.require(talk.session.dropped == 0, "Audio at real-time pace is dropped.", got=str(talk.session.dropped))


def _has(talk: _Talk, kind: type[Final | EndOfTurn], count: int) -> bool:
    return len(talk.texts(kind)) >= count


async def _check_eager(check: Check, emulator: SttEmulator, part: SpeechToText) -> None:
    check.now("ends of turns")
    async with _opened(check, part) as talk:
        await talk.speak(CALLER_LINES[0].audio(talk.format)[: talk.format.size(300)])
        await emulator.eager_end(_SAID)
        await talk.reader.until(lambda: talk.texts(EagerEnd) == [_SAID], "An eager end of a turn is not told.")
        await emulator.resume_turn()
        await talk.reader.until(
            lambda: any(isinstance(event, TurnResumed) for event in talk.reader.events), "A resumed turn is not told."
        )
        await emulator.end_turn(f"{_SAID} {_SAID_AFTER}")
        await talk.reader.until(
            lambda: talk.texts(EndOfTurn) == [f"{_SAID} {_SAID_AFTER}"], "The end of a turn is not told."
        )


async def _check_flood(check: Check, part: SpeechToText) -> None:
    check.now("more audio than the service takes")
    async with _opened(check, part) as talk:
        session, format = talk.session, talk.format
        size = format.size(1_000)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            with check.raises_only(problem="send_audio() raises.", mistake="a queue that is full"):
                for number in range(_FLOOD_SECONDS):
                    session.send_audio(AudioChunk(bytes([number & 0xFF]) * size, format))
            kept = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        check.require(
            kept <= _MOST_KEPT,
            "Audio that the service does not take is kept without bound.",
            expected=f"at most {_MOST_KEPT >> 20} MiB of {_FLOOD_SECONDS * size >> 20}",
            got=f"{kept >> 20} MiB",
            mistake="an unbounded queue, or a transport that is written to without a bound",
            remedy="patter_core.net.websocket.EngineSocket.send_audio keeps a bound, drops the oldest and counts it.",
        )
        check.require(session.dropped > 0, "Audio was dropped and is not counted.", expected="`dropped` of at least 1")
        talk.finalize()


async def _check_closed(check: Check, part: SpeechToText) -> None:
    check.now("closing")
    async with check.leaving_nothing("A closed session"), _opened(check, part) as talk:
        await talk.session.aclose()
        await talk.reader.ended("events() goes on after aclose().")
        check.require(talk.reader.error is None, "A session that is closed fails.", got=repr(talk.reader.error))
        talk.takes("A closed session")


async def _check_absent(check: Check, make_emulator: Callable[[], SttEmulator]) -> None:
    parts: list[SpeechToText] = []
    up = anyio.Event()

    async def serve(stop: anyio.Event) -> None:
        async with make_emulator() as emulator:
            check.keep_secret(emulator.secrets)
            parts.append(emulator.part())
            up.set()
            await stop.wait()

    async def lose(stop: anyio.Event) -> None:
        await up.wait()
        async with _opened(check, parts[0]) as talk:
            stop.set()
            await talk.reader.fails("The service is lost")
            talk.takes("A lost session")

    open_one = lambda: parts[0].open(preferred_format=ULAW_8000, language="")  # noqa: E731 - the part comes later
    await check_absent(check, serve, lose, lambda: parts[0], open_one)
