"""The order of what an engine tells of its agent's turns. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

from patter_core.audio import AudioChunk
from patter_core.events import (
    EngineEvent,
    Interruption,
    ResponseDone,
    ResponseStart,
    SpeechItem,
    TranscriptInput,
    TranscriptOutput,
    Word,
)
from patter_core.testing.conformance.check import Check

__all__ = ["TurnEvents"]

_ORDER = "for each turn of the agent: ResponseStart, its audio, then ResponseDone or an Interruption, each once"


class TurnEvents:
    """What was told so far in one conversation.

    Args:
        check: the check.
        has_turns: the engine reports its turns (`EngineCapability.TURNS`). Else nothing tells where one begins.
    """

    def __init__(self, check: Check, has_turns: bool) -> None:
        self._check = check
        self._has_turns = has_turns
        self._is_open = False
        self._is_void = False
        """The last turn was interrupted, and no other one has begun."""
        self._said = self._heard = ""
        """The last transcripts of the present turns, of the agent and of the caller."""

    def take(self, event: AudioChunk | EngineEvent) -> None:
        """Checks that this may come now.

        Raises:
            ConformanceError: it may not.
        """
        match event:
            case AudioChunk():
                self._require(
                    not self._is_void,
                    "After an interruption, late audio of what was interrupted follows.",
                    "audio that was on its way, and is given without a look at the turn that it belongs to",
                )
                self._require(self._is_open, "Agent audio comes before its turn has begun.", "no ResponseStart")
            case ResponseStart():
                self._require(
                    not self._is_open, "A turn begins before the one before is done.", "ResponseStart for each message"
                )
                self._open()
            case SpeechItem():
                if not self._is_open:
                    self._open()
            case ResponseDone():
                self._require(
                    self._is_open,
                    "A turn is done that is not open.",
                    "ResponseDone twice, or for a turn that was interrupted",
                )
                self._is_open = False
            case Interruption():
                self._is_open = False
                self._is_void = True
            case TranscriptOutput(text=text, words=words):
                self._check_words(text, words)
                self._require_new(text != self._said, "What the agent says is told twice.")
                self._said = text
            case TranscriptInput(text=text):
                self._require_new(text != self._heard, "What the caller says is told twice.")
                self._heard = text

    def require_done(self) -> None:
        """Checks that the turn is over, when nothing of it has come for a while.

        Raises:
            ConformanceError: it is not.
        """
        self._require(
            not self._is_open,
            "The agent has said all of its turn, and the turn is not done.",
            "no ResponseDone: then nothing tells when the caller has heard it",
        )

    def _check_words(self, text: str, words: Sequence[Word]) -> None:
        times = [time for word in words for time in (word.start_ms, word.end_ms)]
        self._check.require(
            not words or ("".join(word.text for word in words) == text and times == sorted(times)),
            "The words of what the agent says are not its text.",
            expected="words that are the text together, blanks included, each with its times in the audio, in order",
            mistake="words without the blanks behind them, or times of each chunk of audio",
        )

    def _open(self) -> None:
        self._is_open = True
        self._is_void = False
        self._said = self._heard = ""

    def _require(self, ok: bool, problem: str, mistake: str) -> None:
        self._check.require(ok or not self._has_turns, problem, expected=_ORDER, mistake=mistake)

    def _require_new(self, ok: bool, problem: str) -> None:
        self._check.require(
            ok or not self._has_turns, problem, expected="each text once", mistake="two messages of one text"
        )
