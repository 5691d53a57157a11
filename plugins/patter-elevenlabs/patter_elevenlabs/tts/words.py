"""Words of an utterance and when they are said, from the service's alignment of characters; sans-IO.

The words are those of the text as it was given: the alignment tells only when they are said. Blanks are passed over on
both sides. Where the alignment begins again before what it told already, as it does with pronunciation dictionaries,
what is known stays; where it leaves something out, that was said when the next thing is.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from patter_core.events import Word
from patter_elevenlabs.tts.wire import Alignment

__all__ = ["Words"]

_WIDE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Scripts without blanks between words: there each sign is a word."""
_WORD = re.compile(rf"\s*(?:[{_WIDE}][\u3000-\u303f\uff00-\uffef]*|[^\s{_WIDE}]+)\s*")
_BLANK = re.compile(r"\s+")
_NEAR = 240
"""Characters around the expected place in which an alignment may go on."""
_ANCHOR = 12
"""Characters by which that place is known."""


class Words:
    """The words of one utterance."""

    def __init__(self) -> None:
        self._text = ""
        """Without blanks: what characters are looked up in."""
        self._known = 0
        """How many characters of it have their time."""
        self._pending: deque[tuple[str, int]] = deque()
        """Words that were not said yet, and how many characters of the text there are up to their end."""
        self._start_ms: float | None = None
        """Of the first pending word, once its first character has its time."""
        self._end_ms = 0.0

    def add(self, text: str) -> None:
        """Takes more text."""
        if self._pending:
            bare = text.lstrip()
            word, end = self._pending.pop()
            self._pending.append((word + text[: len(text) - len(bare)], end))
            text = bare
        for found in _WORD.finditer(text):
            self._text += _BLANK.sub("", found[0])
            self._pending.append((found[0], len(self._text)))

    def said(self, alignment: Alignment, base_ms: float) -> Iterator[Word]:
        """Yields the words that the alignment completes.

        Args:
            alignment: of the next audio.
            base_ms: where this audio begins in the utterance.
        """
        timed = [one for one in _timed(alignment) if one[0].strip()]
        place = self._place("".join(char for char, _, _ in timed))
        if place is None:
            return
        for char, start, duration in timed:
            start_ms = max(self._end_ms, base_ms + start)
            while self._known < place:
                yield from self._next(start_ms, start_ms)
            place += len(char)
            while self._known < min(place, len(self._text)):
                yield from self._next(start_ms, max(start_ms, base_ms + start + duration))

    def _next(self, start_ms: float, end_ms: float) -> Iterator[Word]:
        """Notes the next character; yields its word if it is the last one of it."""
        self._known += 1
        self._end_ms = end_ms
        if self._start_ms is None:
            self._start_ms = start_ms
        word, end = self._pending[0]
        if self._known == end:
            self._pending.popleft()
            yield Word(text=word, start_ms=self._start_ms, end_ms=end_ms)
            self._start_ms = None

    def _place(self, said: str) -> int | None:
        """Returns where in the text this is said: nearest to what is known; None if it is not there."""
        anchor = said[:_ANCHOR]
        if not anchor:
            return None
        if self._text.startswith(anchor, self._known):
            return self._known
        first = max(0, self._known - _NEAR)
        near = self._text[first : self._known + _NEAR]
        places = [first + found.start() for found in re.finditer(f"(?={re.escape(anchor)})", near)]
        return min(places, key=lambda place: abs(place - self._known), default=None)


def _timed(alignment: Alignment) -> Iterator[tuple[str, float, float]]:
    """Yields characters with start and duration."""
    durations = alignment.durations or alignment.durations_too or ()
    yield from zip(alignment.chars or (), alignment.starts or (), durations, strict=False)
