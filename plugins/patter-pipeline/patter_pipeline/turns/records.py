"""What the turn-taking core keeps: a turn of the caller, a request of the model, and a speech of the agent."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from patter_core.events import ToolCall, Word
from patter_core.events.heard_text import heard_text
from patter_core.history import HistoryItem, UserSaid
from patter_pipeline.turns.sentences import Sentences
from patter_pipeline.turns.words import words

__all__ = ["CallerTurn", "Line", "Request", "Speech", "ToolRuns", "same_question"]

_TOLERANCE = 0.3
"""Seconds by which a recognition and our own detection may differ about the end of speech."""
_MOST_FINALS = 500
_LONGEST_TEXT = 8_000
"""Characters of a turn: a service that repeats itself must not fill memory."""


class CallerTurn:
    """A turn of the caller, while it is open and after it.

    Args:
        n: its number.
        at: when it began.
    """

    def __init__(self, n: int, at: float) -> None:
        self.n = n
        self.at = at
        self.ended_at = at
        """When speech ended last."""
        self.said_until: float | None = None
        """When speech ended before a sound in which no word was found yet; None if there was none."""
        self.sound_at = at
        """When that sound began."""
        self.closed_at = math.inf
        """When the turn was taken to be complete."""
        self.spoken = 0.0
        """Seconds of speech."""
        self.by_words = False
        """Its speech was not found in the audio, only by recognition."""
        self.is_full = False
        """It was ended because it was too long."""
        self.is_fixed = False
        """A guardrail has chosen its text: late texts are not for it."""
        self.has_paused = False
        """The recognition takes it to be complete, probably."""
        self.detection = 0
        """The number of the question to the detector; 0 for none."""
        self.detect_until = 0.0
        self.probability: float | None = None
        """What the detector said at this pause."""
        self._before = ""
        """Its text up to where it was taken to be complete, and went on."""
        self._finals: dict[float, str] = {}
        self._seen: set[tuple[float, str]] = set()
        self._whole = ""
        self._interim = ""
        self._until = -math.inf

    @property
    def text(self) -> str:
        """What was said, as far as is known."""
        after = self._whole or " ".join([*(text for _, text in sorted(self._finals.items())), self._interim])
        return " ".join(f"{self._before} {after}".split())[:_LONGEST_TEXT]

    @property
    def has_words(self) -> bool:
        """True if words are known that were said since it was opened, or opened again."""
        return self.has_paused or bool(words(" ".join([self._whole, self._interim, *self._finals.values()])))

    def hears(self, text: str) -> bool:
        """Takes an interim; False if it is known."""
        before, self._interim = self._interim, text[:_LONGEST_TEXT]
        if words(text):
            self.said_until = None
        return self._interim != before

    def add(self, text: str, at: float, until: float) -> bool:
        """Takes a final; False if it is known."""
        self._interim = ""
        self._until = max(self._until, until)
        if self.said_until is not None and until > self.said_until + _TOLERANCE:
            self.said_until = None
        if (at, text) in self._seen or self._whole or self.is_fixed or len(self._seen) >= _MOST_FINALS:
            return False
        self._seen.add((at, text))
        self._finals[at] = text
        return True

    def complete(self, text: str, at: float) -> bool:
        """Takes the text of the whole turn; False if it is known."""
        self._interim = ""
        if (at, text) in self._seen or self.is_fixed or len(self._seen) >= _MOST_FINALS:
            return False
        self._seen.add((at, text))
        self._whole, self._until = text, math.inf
        return True

    def knows(self, text: str, at: float) -> bool:
        """True if it had that final before."""
        return (at, text) in self._seen

    @property
    def is_known(self) -> bool:
        """True if all that was said is known, and final."""
        ended_at = self.ended_at if self.said_until is None else self.said_until
        has_text = bool(self._whole or self._finals or (self._before and self.said_until is not None))
        return has_text and not self._interim and self._until >= ended_at - _TOLERANCE

    def reopen(self) -> None:
        """It goes on after all."""
        self._before, self._whole, self._interim = self.text, "", ""
        self.has_paused = False
        self._finals.clear()
        self._until = self.ended_at
        self.probability, self.closed_at = None, math.inf


class Request:
    """A request of the model, and what of its answer was not spoken yet.

    Args:
        n: its number.
        history: what it answers.
        tools: True if it may call tools.
    """

    def __init__(self, n: int, history: tuple[HistoryItem, ...], *, tools: bool) -> None:
        self.n = n
        self.history = history
        self.tools = tools
        self.sentences = Sentences()
        self.unjudged: deque[str] = deque()
        self.ready: deque[str] = deque()
        """What may be spoken."""
        self.judging = 0
        """The number of the question to the guardrails; 0 for none."""
        self.held: list[ToolCall] = []
        """What a draft has called: it runs when the draft is taken."""
        self.calls = 0
        """How many tools it has called, each time counted."""
        self.called = False
        """It has had a tool run."""
        self.done = False
        """The model has no more to say."""
        self.spoke = False
        """Something of it was given to the voice."""
        self.said: frozenset[str] = frozenset()
        """Sentences that were said before the model was asked again, in a reserve: they are not repeated."""
        self.length = 0

    @property
    def is_finished(self) -> bool:
        """True if nothing of it is left to be spoken."""
        return self.done and not self.ready and not self.unjudged and not self.judging


class Line:
    """Something that the agent is to say word for word."""

    def __init__(self, text: str, *, protected: bool = False, greeting: bool = False, filler: bool = False) -> None:
        self.text = text
        self.protected = protected
        self.greeting = greeting
        self.filler = filler


class Speech:
    """A speech of the agent.

    Args:
        n: its number.
        at: when it was begun.
        request: whose answer it is; None for a line.
        line: what it is, if it is not an answer.
    """

    def __init__(self, n: int, at: float, *, request: Request | None = None, line: Line | None = None) -> None:
        self.n = n
        self.at = at
        self.request = request
        self.line = line
        self.pieces: list[str] = []
        self.ended = False
        """The voice has all of its text."""
        self.voice_done = False
        """All of its audio is here."""
        self.audio_ms = 0.0
        self.words: list[Word] = []
        self.first_audio_at = math.inf
        self.play_end = -math.inf
        """When its audio will have been heard, if nothing delays it."""
        self.heard_ms: float | None = None
        """What was heard when it was paused; None if that is not known."""
        self.left_at_pause = 0.0
        """How much of its audio was not heard when it was paused, in ms, by the clock."""
        self.alarms = 0
        """How often it was paused for nothing."""

    @property
    def text(self) -> str:
        """What the voice was given."""
        return "".join(self.pieces)

    @property
    def is_protected(self) -> bool:
        """True if nothing the caller says stops it."""
        return self.line is not None and self.line.protected

    @property
    def is_greeting(self) -> bool:
        """True for the first message."""
        return self.line is not None and self.line.greeting

    def came(self, ms: float, words: Sequence[Word], now: float) -> None:
        """Takes audio of it."""
        if not self.audio_ms:
            self.first_audio_at = now
        self.audio_ms += ms
        self.words.extend(words)
        self.play_end = max(self.play_end, now) + ms / 1000

    def heard_text(self, ms: float) -> str:
        """Returns what of its text was heard."""
        return heard_text(
            self.text.strip(), heard_ms=ms, audio_ms=self.audio_ms, words=self.words, is_complete=self.voice_done
        )

    def unspoken(self) -> str:
        """Returns the text that is not in its audio."""
        said = heard_text(
            self.text, heard_ms=self.audio_ms, audio_ms=self.audio_ms, words=self.words, is_complete=False
        )
        return self.text[len(said) :]

    def left_ms(self, now: float) -> float:
        """Returns how much of its audio is not heard, in ms, by the clock."""
        return min(self.audio_ms, max(0.0, (self.play_end - now) * 1000))

    def word_start(self, ms: float, back_ms: float) -> float:
        """Returns where the word begins that is heard at a place, or where it probably does."""
        for word in self.words:
            if word.end_ms > ms and 0 <= word.start_ms <= ms:
                return word.start_ms
        return max(0.0, ms - back_ms)


class ToolRuns:
    """The tools that the model has called."""

    def __init__(self) -> None:
        self.running: dict[str, tuple[ToolCall, float]] = {}
        """By id: the call, and when it began."""
        self.outdated: set[str] = set()
        """Those of them whose question the caller has overtaken."""
        self.called: dict[str, None] = {}
        """The ids that were used: a call that comes twice is run once."""
        self.news = False
        """The model does not know of some result."""


def same_question(one: Sequence[HistoryItem], other: Sequence[HistoryItem]) -> bool:
    """True if two histories ask for the same answer: they differ at most in the form of the caller's words."""
    return len(one) == len(other) and all(map(_is_same, one, other))


def _is_same(one: HistoryItem, other: HistoryItem) -> bool:
    if isinstance(one, UserSaid) and isinstance(other, UserSaid):
        return one.text == other.text or words(one.text) == words(other.text)
    return one == other
