"""What was recognised, as events: where a text begins and ends in the audio; sans-IO.

The service tells times with a committed text only, on the time line of all audio that it was sent. So a partial text
begins where the last committed one ended, at the earliest, and about when the first partial text of it came. A text
that was asked for is final up to where it was asked for, though its last word ends before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from patter_core.events import Word
from patter_elevenlabs.stt.wire import WordTime
from patter_pipeline.parts import Final, Interim

__all__ = ["Transcript"]

_DELAY_MS = 500.0
"""How much audio a partial text is behind its first word: about a word, and what the service takes."""


class Transcript:
    """The texts of one session."""

    def __init__(self) -> None:
        self._ended_ms = 0.0
        """Of the last final text."""
        self._started_ms: float | None = None
        """Of the text that is not final yet."""
        self._shown = ""
        self._asked_ms: deque[float] = deque()
        """Up to where texts were asked for that have not come."""
        self.added_ms = 0.0
        """How much silence the service was sent that no audio of the caller was."""
        self.lost_ms = 0.0
        """How much audio of the caller the service was not sent."""

    def asked(self, given_ms: float) -> None:
        """Notes that the text up to here is asked for."""
        self._asked_ms.append(given_ms)

    def ignored(self) -> None:
        """Notes that the service ignores what was asked for first."""
        if self._asked_ms:
            self._asked_ms.popleft()

    def partial(self, text: str, given_ms: float) -> Sequence[Interim]:
        """Notes a partial text; `given_ms` is how much audio of the caller was given so far."""
        if text == self._shown:
            return ()
        if self._started_ms is None:
            self._started_ms = max(self._ended_ms, given_ms - _DELAY_MS)
        self._shown = text
        return (Interim(text, self._started_ms),)

    def committed(self, text: str, words: Sequence[WordTime], given_ms: float) -> Sequence[Interim | Final]:
        """Notes a committed text. One without any text is not final text: it takes back the partial one."""
        started, shown = self._started_ms, self._shown
        self._started_ms, self._shown = None, ""
        asked = self._asked_ms.popleft() if self._asked_ms else None
        if not text:
            return (Interim("", given_ms if started is None else started),) if shown else ()
        found = self._words(words, given_ms)
        if found:
            began, self._ended_ms = found[0].start_ms, found[-1].end_ms
        else:
            began = max(self._ended_ms, given_ms - _DELAY_MS) if started is None else started
            self._ended_ms = max(began, given_ms if asked is None else asked)
        return (Final(text, began, max(self._ended_ms, asked or 0.0), found),)

    def _words(self, words: Sequence[WordTime], given_ms: float) -> tuple[Word, ...]:
        """Returns the words with what stands between them, in order, within what was given."""
        found: list[Word] = []
        least = self._ended_ms
        shift = self.lost_ms - self.added_ms
        for word in words:
            text = word.text or ""
            if found and not (word.type in {None, "word"} and text.strip()):
                last = found[-1]
                found[-1] = Word(text=last.text + text, start_ms=last.start_ms, end_ms=last.end_ms)
            elif text.strip() and word.start is not None:
                start = min(max(least, word.start * 1_000 + shift), max(least, given_ms))
                least = min(max(start, (word.end or word.start) * 1_000 + shift), max(start, given_ms))
                found.append(Word(text=text, start_ms=start, end_ms=least))
        if any(word.type == "spacing" for word in words):
            return tuple(found)
        return tuple(
            Word(text=word.text + " " * (place < len(found)), start_ms=word.start_ms, end_ms=word.end_ms)
            for place, word in enumerate(found, 1)
        )
