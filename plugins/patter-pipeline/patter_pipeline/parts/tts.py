"""The contract of a voice."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.events import Usage, Word
from patter_core.kinds import Part

__all__ = ["TTS_API_VERSION", "Spoken", "TextToSpeech", "TtsEvent", "TtsSession", "UtteranceDone"]

TTS_API_VERSION = 1


class Spoken(msgspec.Struct, frozen=True):
    """The next audio of an utterance."""

    utterance: str
    chunk: AudioChunk
    words: tuple[Word, ...] = ()
    """Words of the text as it was given to `speak`, with times from the utterance's beginning; each once, in order.

    They may come with later audio than their own. None where the service does not tell.
    """


class UtteranceDone(msgspec.Struct, frozen=True):
    """All audio of an utterance has come; once for each utterance that was finished and not cancelled."""

    utterance: str


TtsEvent = Spoken | UtteranceDone | Usage
"""What a voice reports."""


class TtsSession(abc.ABC):
    """A voice for one call. It speaks one utterance after the other, in the order of their first `speak`."""

    @property
    @abc.abstractmethod
    def output_format(self) -> AudioFormat:
        """What the audio in `events()` is."""

    @abc.abstractmethod
    def speak(self, utterance: str, text: str) -> None:
        """Takes more text of an utterance: whole sentences, the first piece at least a clause. Never waits.

        The pieces joined are the text: the blanks between sentences are in them.

        Args:
            utterance: an id that the pipeline chose, not used before a `finish` or `cancel` of the same.
            text: not empty.
        """

    @abc.abstractmethod
    def finish(self, utterance: str) -> None:
        """Says that no more text of an utterance follows: what is held back is spoken. Never waits."""

    @abc.abstractmethod
    def cancel(self, utterance: str) -> None:
        """Gives an utterance up. No audio of it follows. Never waits; unknown and ended ones are ignored."""

    @abc.abstractmethod
    def events(self) -> AsyncIterator[TtsEvent]:
        """The audio, in order; iterated once. It ends after `aclose`.

        Raises:
            EngineError: the service ended, or refused to go on; `retry` says whether to try again.
        """

    def unbilled(self) -> Sequence[Usage]:
        """Returns what was used and is in no `Usage` that was taken from `events()`, and not again. Never waits.

        Called before `aclose`, when nothing of `events()` is taken any more, also of a session that failed. What the
        service has not told yet is reckoned, such as the characters of an utterance that is cut.
        """
        return ()

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Ends the session and frees what it holds. Idempotent; also while `events()` is being read."""


class TextToSpeech(Part):
    """A voice."""

    api_version: ClassVar[int] = TTS_API_VERSION

    @abc.abstractmethod
    async def open(self, *, preferred_format: AudioFormat, voice: str, language: str) -> TtsSession:
        """Connects, and returns once the service is ready for text. Cancelling it leaves nothing open.

        Args:
            preferred_format: the carrier's: a voice that can speak it saves all conversion.
            voice: the vendor's id of a voice; "" for the part's own.
            language: a code such as `it` or `pt-br`; "" for the part's own.

        Raises:
            EngineError: it could not be reached in time, or refused; `retry` says whether to try again.
        """
