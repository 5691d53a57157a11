"""The caller's audio on its way to speech recognition, and what is recognised.

Audio passes untouched where the service takes the carrier's format and frames. While no session is open, the last
seconds are kept: they go to the next one, so that a connection that is lost in the middle of a turn loses no word.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from patter_core.aio.foreign import run_behind, run_foreign
from patter_core.aio.tries import Tries
from patter_core.audio import AudioChunk, AudioFormat
from patter_core.audio.converter import make_converter
from patter_core.audio.framer import Framer
from patter_core.errors import EngineError, EngineLost
from patter_core.events import Usage
from patter_pipeline.audio_clock import AudioClock
from patter_pipeline.parts import (
    EagerEnd,
    EndOfTurn,
    Final,
    Interim,
    SpeechToText,
    SttSession,
    TurnResumed,
)
from patter_pipeline.recent import Recent
from patter_pipeline.turns import inputs
from patter_pipeline.work import Work, as_part_error, close, named, open_part, unbilled_by, unsound

__all__ = ["OPEN_WITHIN", "Listener", "open_stt"]

OPEN_WITHIN = 5.0
"""Seconds for a session in the middle of a call: the caller waits."""
_KEPT_MS = 5_000.0
_BEFORE_MS = 300.0
"""Of audio before speech: its beginning may have been found late."""
_LONGEST_AGO_MS = 120_000.0
"""No turn is longer."""
_LONGEST = 8_000
"""Characters of a text: it is looked at, word by word, each time that one comes."""
_FRAME_MS = 20.0
"""Of carriers: a service that wants longer chunks has them gathered."""
_WHAT = "Speech recognition"


async def open_stt(part: SpeechToText, format: AudioFormat, language: str, within: float) -> SttSession:
    """Opens a session of speech recognition.

    Raises:
        EngineError: it could not be had in time.
    """
    open_one = functools.partial(part.open, preferred_format=format, language=language)
    return await open_part(open_one, within, named(_WHAT, part))


class Listener:
    """Gives the caller's audio to one session of speech recognition after the other.

    Args:
        parts: the one that is used, and its reserves.
        format: of the caller's audio.
        language: of the call.
        take: is told what was recognised.
        report: is told what is billed.
        work: runs the tasks.
        times: when each place in the caller's audio was said.
        clock: monotonic, in s.
    """

    def __init__(
        self,
        parts: Sequence[SpeechToText],
        format: AudioFormat,
        language: str,
        *,
        take: Callable[[inputs.Input], None],
        report: Callable[[Usage], None],
        work: Work,
        times: AudioClock,
        clock: Callable[[], float],
    ) -> None:
        self.error: EngineError | None = None
        """Why the last session failed."""
        self.recent = Recent(format)
        """The last of the caller's audio."""
        self._parts = list(parts)
        self._format = format
        self._language = language
        self._take = take
        self._report = report
        self._work = work
        self._times = times
        self._clock = clock
        self._session: SttSession | None = None
        self._began = 0.0
        self._given = 0
        """Bytes of the caller's audio that the present session was given."""
        self._give: Callable[[AudioChunk], object] = _ignore
        self._dropped = 0
        self._tries = Tries(2)
        self._stop_opening: Callable[[], object] | None = None
        """Gives up the session that is being opened."""

    @property
    def what(self) -> str:
        """The present part, as errors tell it."""
        return named(_WHAT, self._parts[0])

    @property
    def dropped(self) -> int:
        """How many chunks the services did not take in time."""
        return self._dropped + self._dropped_now()

    def begin(self, place: int, session: SttSession) -> None:
        """The first session is open; it is of the part at that place."""
        del self._parts[:place]
        self._begin(session)

    def hear(self, chunk: AudioChunk) -> None:
        """Takes the caller's audio. Never waits and never raises."""
        self.recent.keep(chunk)
        self._pass(chunk)

    def finalize(self) -> None:
        """The caller stopped speaking."""
        if self._session is not None:
            try:
                self._session.finalize()
            except BaseException as raised:  # noqa: BLE001 - the plugin boundary
                self._failed(self._session, as_part_error(raised, self.what))

    def use_reserve(self) -> None:
        """Another part takes over."""
        if len(self._parts) > 1:
            del self._parts[0]
        self._leave()
        self._tries = Tries(2)
        self._open()

    def renew(self, since_ms: float) -> None:
        """Another session of the present part hears what came in that time; one that is being opened does so anyway."""
        if self._session is not None:
            self.recent.forget_before(since_ms + _BEFORE_MS)
            self._leave()
            self._open()

    def unbilled(self) -> list[Usage]:
        """Returns what the present session has used and not told."""
        return [] if self._session is None else unbilled_by(self._session, self.what)

    def close(self) -> list[SttSession]:
        """Nothing more is heard. Returns the session that is to be closed."""
        session, self._session, self._give = self._session, None, _ignore
        return [] if session is None else [session]

    # --- audio -------------------------------------------------------------------------------------------------------

    def _begin(self, session: SttSession) -> None:
        try:
            self._give = self._giver(session)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary, or a format without a conversion
            run_behind(close, session)
            self.error = as_part_error(raised, self.what)
            self._take(inputs.SttFailed())
            return
        self._session, self._began, self._given = session, self._clock(), 0
        self._work.start(functools.partial(self._follow, session))

    def _giver(self, session: SttSession) -> Callable[[AudioChunk], object]:
        """Returns what gives it a chunk of the caller: by the shortest way."""
        send = functools.partial(self._send, session)
        converter = make_converter(self._format, session.input_format)
        chunk_ms = self._parts[0].chunk_ms
        framer = Framer(session.input_format, frame_ms=chunk_ms) if chunk_ms > _FRAME_MS else None
        if converter is None and framer is None:
            return send

        def give(chunk: AudioChunk) -> None:
            converted = chunk if converter is None else converter.convert(chunk)
            if converted is not None:
                for piece in (converted,) if framer is None else framer.push(converted):
                    send(piece)

        return give

    def _pass(self, chunk: AudioChunk) -> None:
        self._given += chunk.size
        self._give(chunk)

    def _send(self, session: SttSession, chunk: AudioChunk) -> None:
        try:
            session.send_audio(chunk)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            self._failed(session, as_part_error(raised, self.what))

    def _replay(self) -> None:
        """Gives a new session what it missed."""
        for chunk in self.recent.chunks(_KEPT_MS):
            self._pass(chunk)

    # --- what is recognised ------------------------------------------------------------------------------------------

    async def _follow(self, session: SttSession) -> None:
        try:
            await run_foreign(self._read, None, session)
            error: EngineError = EngineLost(f"{self.what} ended by itself.", retry=True)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            error = as_part_error(raised, self.what)
        self._failed(session, error)

    async def _read(self, session: SttSession) -> None:
        async for event in session.events():
            if self._session is not session:
                return
            self._tell(event)

    def _tell(self, event: object) -> None:
        match event:
            case Usage():
                self._report(event)
            case Interim(text=str(text), started_ms=float() | int() as started):
                self._take(inputs.SttInterim(text[:_LONGEST], self._at(started)))
            case Final(text=str(text), started_ms=float() | int() as started, ended_ms=float() | int() as ended):
                self._take(inputs.SttFinal(text[:_LONGEST], self._at(started), self._at(ended)))
            case EagerEnd(text=str(text)):
                self._take(inputs.SttEagerEnd(text[:_LONGEST]))
            case TurnResumed():
                self._take(inputs.SttResumed())
            case EndOfTurn(text=str(text), started_ms=float() | int() as started):
                self._take(inputs.SttEndOfTurn(text[:_LONGEST], self._at(started)))
            case _:
                raise unsound(self.what, event)

    def _at(self, audio_ms: float) -> float:
        """Returns when that place of the session's audio was said."""
        ago_ms = max(0.0, self._format.duration_ms(self._given) - audio_ms)
        return self._times.at(min(ago_ms, _LONGEST_AGO_MS))

    # --- sessions ----------------------------------------------------------------------------------------------------

    def _failed(self, session: SttSession, error: EngineError) -> None:
        if self._session is not session:
            return
        self.error = error
        worked_for = self._clock() - self._began
        self._leave()
        pause = self._tries.failed(worked_for=worked_for, within=OPEN_WITHIN) if error.retry else None
        if pause is None:
            self._take(inputs.SttFailed())
        else:
            self._open()

    def _open(self) -> None:
        self._stop_opening = self._work.start(self._reopen)

    async def _reopen(self) -> None:
        """Opens a session of the present part, and gives it what was said meanwhile."""
        try:
            session = await open_stt(self._parts[0], self._format, self._language, OPEN_WITHIN)
        except EngineError as error:
            self._stop_opening = None
            self.error = error
            self._take(inputs.SttFailed())
        else:
            self._stop_opening = None
            self._begin(session)
            self._replay()

    def _leave(self) -> None:
        """The present session is given up, or the one that is being opened."""
        session, self._give = self._session, _ignore
        if self._stop_opening is not None:
            self._stop_opening()
            self._stop_opening = None
        if session is not None:
            self._dropped += self._dropped_now()
            for usage in self.unbilled():
                self._report(usage)
            self._session = None
            run_behind(close, session)

    def _dropped_now(self) -> int:
        try:
            return 0 if self._session is None else int(self._session.dropped)
        except BaseException as raised:  # noqa: BLE001 - the plugin boundary
            as_part_error(raised, self.what)
            return 0


def _ignore(_: AudioChunk) -> None:
    """No session is open."""
