"""The contract of speech recognition."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.events import Usage, Word
from patter_core.kinds import Part

__all__ = [
    "STT_API_VERSION",
    "EagerEnd",
    "EndOfTurn",
    "Final",
    "Interim",
    "SpeechToText",
    "SttEvent",
    "SttSession",
    "TurnResumed",
]

STT_API_VERSION = 1


class Interim(msgspec.Struct, frozen=True):
    """What is recognised so far after the last `Final`; it may still change. Its `repr` hides the text."""

    text: str
    started_ms: float
    """Where it begins in the audio that the session was given, from its beginning, silence included."""

    def __repr__(self) -> str:
        return "<Interim>"


class Final(msgspec.Struct, frozen=True):
    """What was recognised in a stretch of audio, and will not change. Its `repr` hides the text.

    A turn of the caller may have several: each is the text since the last one.
    """

    text: str
    started_ms: float
    """As in `Interim`."""
    ended_ms: float
    """As in `Interim`: where it ends."""
    words: tuple[Word, ...] = ()
    """With times like those of the text; none where the service does not tell."""

    def __repr__(self) -> str:
        return "<Final>"


class EagerEnd(msgspec.Struct, frozen=True):
    """The caller's turn has probably ended: an answer may be drafted. Its `repr` hides the text."""

    text: str
    """Of the whole turn so far."""

    def __repr__(self) -> str:
        return "<EagerEnd>"


class TurnResumed(msgspec.Struct, frozen=True):
    """The caller's turn goes on after an `EagerEnd`."""


class EndOfTurn(msgspec.Struct, frozen=True):
    """The caller's turn has ended. Its `repr` hides the text."""

    text: str
    """Of the whole turn: it replaces the finals and interims of the turn."""
    started_ms: float
    """As in `Interim`: where the turn begins."""

    def __repr__(self) -> str:
        return "<EndOfTurn>"


SttEvent = Interim | Final | EagerEnd | TurnResumed | EndOfTurn | Usage
"""What a session of speech recognition reports."""


class SttSession(abc.ABC):
    """Speech recognition for one call."""

    @property
    @abc.abstractmethod
    def input_format(self) -> AudioFormat:
        """What `send_audio` takes."""

    @property
    @abc.abstractmethod
    def dropped(self) -> int:
        """How many chunks were dropped, oldest first, because the service did not take them in time."""

    @abc.abstractmethod
    def send_audio(self, chunk: AudioChunk) -> None:
        """Takes caller audio, in `input_format`, at real-time pace and without gaps. Never waits and never raises."""

    def finalize(self) -> None:  # noqa: B027 - a service that decides alone has nothing to do
        """Asks for the final text of what was sent, since the caller stopped speaking. Never waits."""

    @abc.abstractmethod
    def events(self) -> AsyncIterator[SttEvent]:
        """What was recognised, in order; iterated once. It ends after `aclose`.

        Raises:
            EngineError: the service ended, or refused to go on; `retry` says whether to try again.
        """

    def unbilled(self) -> Sequence[Usage]:
        """Returns what was used and is in no `Usage` that was taken from `events()`, and not again. Never waits.

        Called before `aclose`, when nothing of `events()` is taken any more, also of a session that failed. What the
        service has not told yet is reckoned, such as the seconds since its last report.
        """
        return ()

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Ends the session and frees what it holds. Idempotent; also while `events()` is being read."""


class SpeechToText(Part):
    """Speech recognition."""

    api_version: ClassVar[int] = STT_API_VERSION
    ends_turns: ClassVar[bool] = False
    """It reports `EndOfTurn`: neither pauses nor a turn detector end the caller's turns. An instance may differ."""
    interims: ClassVar[bool] = True
    """It reports `Interim`s while the caller speaks; else mere sound interrupts the agent. An instance may differ."""
    final_p99: ClassVar[float] = 1.0
    """Seconds from the end of speech to its `Final`, which 99 of 100 keep. An instance may differ."""
    chunk_ms: ClassVar[float] = 20.0
    """The length of the chunks that the service wants. An instance may differ."""

    @abc.abstractmethod
    async def open(self, *, preferred_format: AudioFormat, language: str) -> SttSession:
        """Connects, and returns once the service is ready for audio. Cancelling it leaves nothing open.

        Args:
            preferred_format: of the caller's audio: a service that takes it saves all conversion.
            language: a code such as `it` or `pt-br`; "" for the part's own.

        Raises:
            EngineError: it could not be reached in time, or refused; `retry` says whether to try again.
        """
