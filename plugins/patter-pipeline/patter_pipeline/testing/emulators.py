"""What the emulator of a part is: a real peer that plays the vendor's service, and does what a test tells it to.

A part names its emulator in `Part.emulator`. Each is an asynchronous context manager: the port is open inside. Commands
act on every session that is open, and return once it is sent.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping, Sequence
from typing import Generic, Self, TypeVar

import msgspec

from patter_core.errors import EngineError
from patter_core.events import ToolCall
from patter_core.kinds import Part
from patter_core.testing import emulator
from patter_core.testing.speech import AGENT_LINES, REPLIES, Line
from patter_pipeline.parts import LanguageModel, SpeechToText, TextToSpeech

__all__ = ["Answer", "Ending", "LlmEmulator", "PartEmulator", "SttEmulator", "TtsEmulator"]

P = TypeVar("P", bound=Part)


class PartEmulator(emulator.PartEmulator, Generic[P]):
    """Plays the service of one part. Its constructor can be called without arguments."""

    @abc.abstractmethod
    def part(self) -> P:
        """A part that is configured for this emulator and for nothing else."""

    @abc.abstractmethod
    def stall(self) -> None:
        """From here on the service says nothing more, and no new session becomes ready. No connection is closed."""

    def _lacks(self, method: str) -> EngineError:
        return EngineError(f"{type(self).__name__} has no `{method}`.", remedy="Define it, to try that.")


class SttEmulator(PartEmulator[SpeechToText]):
    """Plays a service of speech recognition, which recognises what a test tells it to.

    Where a text begins and ends is up to the emulator: within the audio that the session was sent.
    """

    @property
    @abc.abstractmethod
    def heard(self) -> Sequence[bytes]:
        """All audio that each session was sent, in the session's `input_format`, in the order of their opening."""

    @abc.abstractmethod
    async def interim(self, text: str) -> None:
        """The service has recognised this since the last final text, and may change it."""

    async def final(self, text: str) -> None:
        """The service has recognised this since the last final text.

        Raises:
            EngineError: it has no such message: it reports ends of turns only.
        """
        raise self._lacks("final")

    async def end_turn(self, text: str) -> None:
        """The caller's turn has ended, with this text (`SpeechToText.ends_turns`).

        Raises:
            EngineError: the service ends no turns.
        """
        raise self._lacks("end_turn")

    async def eager_end(self, text: str) -> None:
        """The caller's turn has probably ended, with this text so far.

        Raises:
            EngineError: the service does not tell.
        """
        raise self._lacks("eager_end")

    async def resume_turn(self) -> None:
        """The turn goes on after an eager end.

        Raises:
            EngineError: the service does not tell.
        """
        raise self._lacks("resume_turn")

    @abc.abstractmethod
    async def fail(self) -> None:
        """Ends the sessions by a failure of the service: its error, or a close code that means one."""

    async def inject(self, message: str | bytes) -> None:
        """Sends this in every session, as the service never would.

        Raises:
            EngineError: this emulator cannot misbehave.
        """
        raise self._lacks("inject")


class TtsEmulator(PartEmulator[TextToSpeech]):
    """Plays a voice: it speaks every text that it is given, some 50 ms a character, faster than real time."""

    lines: Sequence[Line] = ()
    """Texts for which it has real speech, if it can play that: in place of tones."""

    @classmethod
    def for_demo(cls) -> Self | None:
        made = cls()
        made.lines = AGENT_LINES
        return made

    @property
    @abc.abstractmethod
    def given(self) -> Sequence[str]:
        """The text of each utterance as far as the service has it, in the order of their beginning."""

    @abc.abstractmethod
    async def fail(self) -> None:
        """Ends the sessions by a failure of the service: its error, or a close code that means one."""

    async def inject(self, message: str | bytes) -> None:
        """Sends this in every session, as the service never would.

        Raises:
            EngineError: this emulator cannot misbehave.
        """
        raise self._lacks("inject")


class Ending(enum.Enum):
    """How an answer of an emulated model ends."""

    DONE = "done"
    FAILURE = "failure"
    """The service reports an error, or breaks the answer off. Before the first piece it refuses the request."""
    STALL = "stall"
    """Nothing follows, and the connection stays open."""


class Answer(msgspec.Struct, frozen=True):
    """What an emulated model answers."""

    pieces: tuple[str | ToolCall, ...] = ("Yes.",)
    """Pieces of text, and calls of tools, which come after the text."""
    ending: Ending = Ending.DONE


class LlmEmulator(PartEmulator[LanguageModel]):
    """Plays a language model, which answers what a test tells it to. Without an answer it says `Yes.`.

    Usage, where the service reports it, comes at the end of an answer.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        """What the next requests get, in order."""
        self.replies: Mapping[Line, Line] = {}
        """What a request gets by the line in it that comes last, once there are no `answers`."""

    @classmethod
    def for_demo(cls) -> Self | None:
        made = cls()
        made.replies = REPLIES
        return made

    @property
    @abc.abstractmethod
    def asked(self) -> Sequence[str]:
        """Each request as the service got it, as text in which the texts of the request stand (JSON will do)."""

    @property
    @abc.abstractmethod
    def answering(self) -> int:
        """How many answers are being given: their connections are open, and neither side has ended them."""

    def answer(self, *pieces: str | ToolCall, ending: Ending = Ending.DONE) -> None:
        """Adds an answer to `answers`."""
        self.answers.append(Answer(pieces, ending))

    def next_answer(self) -> Answer:
        """Takes the answer of the present request, the last of `asked`."""
        if self.answers:
            return self.answers.pop(0)
        asked = self.asked[-1] if self.replies else ""
        said = max(self.replies, key=lambda line: asked.rfind(line.text), default=None)
        return Answer() if said is None or said.text not in asked else Answer((self.replies[said].text,))
