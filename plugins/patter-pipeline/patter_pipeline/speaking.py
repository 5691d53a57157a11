"""Text on its way to the voice, and the audio that comes back.

The voice has a session that is kept. One that is lost while nothing is spoken, or before the first sound, is opened
anew, and has what was to be said again; one that is lost in the middle of a speech is told.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import msgspec

from patter_core.aio.foreign import run_behind, run_foreign
from patter_core.aio.tries import Tries
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.converter import Converter, make_converter
from patter_core.errors import EngineError, EngineLost
from patter_core.events import Usage, Word
from patter_pipeline.parts import Spoken, TextToSpeech, TtsSession, UtteranceDone
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work, as_part_error, close, named, open_part, unbilled_by, unsound

__all__ = ["Speaker", "open_tts"]

_OPEN_WITHIN = 3.0
"""Seconds for a session in the middle of a call: the caller waits for the answer."""
_LONGEST_MS = 10_000.0
"""Of one speech, beside what its text takes: a voice that is stuck may give silence without end."""
_CHARACTER_MS = 500.0
"""That a character takes at most: a figure of a number that is spelled."""
_WHAT = "The voice"


async def open_tts(part: TextToSpeech, format: AudioFormat, voice: str, language: str, within: float) -> TtsSession:
    """Opens a session of a voice.

    Raises:
        EngineError: it could not be had in time.
    """
    open_one = functools.partial(part.open, preferred_format=format, voice=voice, language=language)
    return await open_part(open_one, within, named(_WHAT, part))


class _Speech(msgspec.Struct):
    """A speech of the agent, as the voice has it."""

    n: int
    utterance: str
    """Its id at the present session."""
    text: str = ""
    is_finished: bool = False
    audio_ms: float = 0.0
    """What the voice gave of it."""
    converter: Converter | None = None


class Speaker:
    """Has one session of a voice after the other speak.

    Args:
        parts: the one that is used, and its reserves.
        format: what the audio is to be.
        voice: of the call.
        language: of the call.
        on_audio: called with each piece of audio of a speech, before `take` is told of it.
        take: is told what the voice said.
        report: is told what is billed.
        work: runs the tasks.
        clock: monotonic, in s.
    """

    def __init__(
        self,
        parts: Sequence[TextToSpeech],
        format: AudioFormat,
        *,
        voice: str,
        language: str,
        on_audio: Callable[[int, AudioChunk, Sequence[Word]], None],
        take: Callable[[inputs.Input], None],
        report: Callable[[Usage], None],
        work: Work,
        clock: Callable[[], float],
    ) -> None:
        self.error: EngineError | None = None
        """Why the last session failed."""
        self._parts = list(parts)
        self._format = format
        self._voice = voice
        self._language = language
        self._on_audio = on_audio
        self._take = take
        self._report = report
        self._work = work
        self._clock = clock
        self._session: TtsSession | None = None
        self._stop_opening: Callable[[], object] | None = None
        """Gives up the session that is being opened."""
        self._began = 0.0
        self._generation = 0
        """Counts the sessions: ids of utterances are used once."""
        self._speeches: dict[int, _Speech] = {}
        """Those that the voice has not said to the end."""
        self._tries = Tries(2)

    @property
    def what(self) -> str:
        """The present part, as errors tell it."""
        return named(_WHAT, self._parts[0])

    def begin(self, place: int, session: TtsSession) -> None:
        """The first session is open; it is of the part at that place."""
        del self._parts[:place]
        self._begin(session)

    def speak(self, n: int, text: str) -> None:
        """More text of a speech."""
        speech = self._speeches.get(n)
        if speech is None:
            speech = self._speeches[n] = _Speech(n, f"{n}-{self._generation}")
        speech.text += text
        self._do(lambda session: session.speak(speech.utterance, text))
        self._ensure_open()

    def finish(self, n: int) -> None:
        """No more text of it follows."""
        speech = self._speeches.get(n)
        if speech is not None and not speech.is_finished:
            speech.is_finished = True
            self._do(lambda session: session.finish(speech.utterance))

    def cancel(self, n: int) -> None:
        """The rest of it is not wanted."""
        speech = self._speeches.pop(n, None)
        if speech is not None:
            self._do(lambda session: session.cancel(speech.utterance))

    def use_reserve(self) -> None:
        """Another part takes over; what it is to say follows."""
        if len(self._parts) > 1:
            del self._parts[0]
        self._speeches.clear()
        self._leave()
        self._tries = Tries(2)
        self._ensure_open()

    def unbilled(self) -> list[Usage]:
        """Returns what the present session has used and not told."""
        return [] if self._session is None else unbilled_by(self._session, self.what)

    def close(self) -> list[TtsSession]:
        """Nothing more is said. Returns the session that is to be closed."""
        session, self._session = self._session, None
        self._speeches.clear()
        return [] if session is None else [session]

    # --- the session -------------------------------------------------------------------------------------------------

    def _do(self, command: Callable[[TtsSession], None]) -> None:
        """Gives the session a command. Without one there is nothing to do: it is told all once it is open."""
        session = self._session
        if session is not None:
            try:
                command(session)
            except BaseException as raised:  # noqa: BLE001 - the plugin boundary
                self._failed(session, as_part_error(raised, self.what))

    def _begin(self, session: TtsSession) -> None:
        self._session, self._began = session, self._clock()
        self._generation += 1
        self._work.start(functools.partial(self._follow, session))
        for speech in list(self._speeches.values()):
            speech.utterance = f"{speech.n}-{self._generation}"
            self._do(functools.partial(_tell, utterance=speech.utterance, text=speech.text))
            if speech.is_finished:
                self._do(functools.partial(_finish, utterance=speech.utterance))

    def _ensure_open(self) -> None:
        if self._session is None and self._stop_opening is None:
            self._stop_opening = self._work.start(self._reopen)

    async def _reopen(self) -> None:
        try:
            session = await open_tts(self._parts[0], self._format, self._voice, self._language, _OPEN_WITHIN)
        except EngineError as error:
            self._stop_opening = None
            self._give_up(error)
        else:
            self._stop_opening = None
            self._begin(session)

    async def _follow(self, session: TtsSession) -> None:
        try:
            await run_foreign(self._read, None, session)
            error: EngineError = EngineLost(f"{self.what} ended by itself.", retry=True)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            error = as_part_error(raised, self.what)
        self._failed(session, error)

    def _failed(self, session: TtsSession, error: EngineError) -> None:
        if self._session is not session:
            return
        worked_for = self._clock() - self._began
        self._leave()
        is_silent = not any(speech.audio_ms for speech in self._speeches.values())
        pause = self._tries.failed(worked_for=worked_for, within=_OPEN_WITHIN) if error.retry else None
        if is_silent and not self._speeches:
            self.error = error  # the next speech opens another one
        elif is_silent and pause is not None:
            self._ensure_open()
        else:
            self._give_up(error)

    def _give_up(self, error: EngineError) -> None:
        """The speeches that were to be said are not."""
        self.error = error
        speeches, self._speeches = self._speeches, {}
        for n in speeches:
            self._take(inputs.VoiceFailed(n))

    def _leave(self) -> None:
        """The present session is given up, or the one that is being opened."""
        session = self._session
        if self._stop_opening is not None:
            self._stop_opening()
            self._stop_opening = None
        if session is not None:
            for usage in self.unbilled():
                self._report(usage)
            self._session = None
            run_behind(close, session)

    # --- what it says ------------------------------------------------------------------------------------------------

    async def _read(self, session: TtsSession) -> None:
        async for event in session.events():
            if self._session is not session:
                return
            self._hear(session, event)

    def _hear(self, session: TtsSession, event: object) -> None:
        match event:
            case Usage():
                self._report(event)
            case Spoken(utterance=utterance, chunk=AudioChunk() as chunk, words=words) if (
                chunk.format == session.output_format and all(_is_sound(word) for word in words)
            ):
                self._hear_audio(session, self._of(utterance), chunk, words)
            case UtteranceDone(utterance=utterance):
                self._hear_end(self._of(utterance))
            case _:
                raise unsound(self.what, event)

    def _hear_audio(
        self, session: TtsSession, speech: _Speech | None, chunk: AudioChunk, words: Sequence[Word]
    ) -> None:
        if speech is None or not chunk.size:
            return
        if not speech.audio_ms:
            speech.converter = make_converter(session.output_format, self._format)
        speech.audio_ms += chunk.duration_ms
        longest_ms = _LONGEST_MS + len(speech.text) * _CHARACTER_MS
        if speech.audio_ms > longest_ms:
            raise EngineLost(f"{self.what} never ends.", retry=True, expected=f"{longest_ms / 1000:g} s at most")
        converted = chunk if speech.converter is None else speech.converter.convert(chunk)
        if converted is not None:
            self._give(speech, converted, words)

    def _hear_end(self, speech: _Speech | None) -> None:
        if speech is None or not speech.is_finished:
            return
        del self._speeches[speech.n]
        rest = None if speech.converter is None else speech.converter.flush()
        if rest is not None:
            self._give(speech, rest, ())
        self._take(inputs.VoiceDone(speech.n))

    def _give(self, speech: _Speech, chunk: AudioChunk, words: Sequence[Word]) -> None:
        self._on_audio(speech.n, chunk, words)
        self._take(inputs.VoiceAudio(speech.n, chunk.duration_ms, tuple(words)))

    def _of(self, utterance: str) -> _Speech | None:
        return next((speech for speech in self._speeches.values() if speech.utterance == utterance), None)


def _is_sound(word: object) -> bool:
    match word:
        case Word(text=str(), start_ms=float() | int() as start, end_ms=float() | int() as end):
            return math.isfinite(start) and math.isfinite(end)
    return False


def _tell(session: TtsSession, *, utterance: str, text: str) -> None:
    session.speak(utterance, text)


def _finish(session: TtsSession, *, utterance: str) -> None:
    session.finish(utterance)
