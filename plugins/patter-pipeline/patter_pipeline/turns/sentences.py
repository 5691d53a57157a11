"""Streamed text, cut into what the voice is given: first a clause, so that it begins soon, then whole sentences.

The pieces joined are the text. Where they are cut does not depend on how the text was streamed, but for `clause`.
"""

from __future__ import annotations

import unicodedata

from patter_pipeline.turns import dots
from patter_pipeline.turns.words import words

__all__ = ["Sentences"]

_ENDS = ".!?…;:؟"
_WIDE_ENDS = "。！？；｡．।॥۔።။។"
"""After which some languages put no blank."""
_CLAUSE_ENDS = ",–—-،"
_WIDE_CLAUSE_ENDS = "，、"
_CLOSERS = "\"')]}»”’」』）*"
_PAUSES = "…"
"""After which a sentence may go on."""
_ANY_END = _ENDS + _WIDE_ENDS
_FOLLOWERS = _ANY_END + _CLOSERS
_FIRST_WORDS = 3
"""Of a clause that is the first piece: less sounds cut off."""
_SHORT = 20
"""Characters up to which a later sentence is joined with the next: a voice sounds better with more."""
_LONGEST = 300
"""Characters of a piece without an end: services have limits, and a caller cannot wait."""
_MOST_MARKS = 50
"""Marks that belong to the one before: each piece of text looks at them anew, and a model may repeat one for ever."""


class Sentences:
    """The text of one answer, as it comes."""

    def __init__(self) -> None:
        self._rest = ""
        self._seen = 0
        """How much of the rest holds no place to cut."""
        self._is_first = True
        self._is_start = True
        """The rest begins a sentence."""

    @property
    def is_waiting(self) -> bool:
        """True if there is text that was not given out."""
        return bool(self._rest.strip())

    def add(self, text: str) -> list[str]:
        """Takes more text; returns the pieces that are complete."""
        self._rest += text
        pieces: list[str] = []
        while cut := self._cut():
            pieces.append(self._take(cut))
        return pieces

    def clause(self) -> list[str]:
        """No text has come for a moment: returns what can be said of the first piece; later ones wait for their end."""
        cut = max(self._rest.rfind(" "), *(self._rest.rfind(mark) for mark in _WIDE_CLAUSE_ENDS)) + 1
        if not self._is_first or len(words(self._rest[:cut])) < _FIRST_WORDS:
            return []
        return [self._take(cut, ends=False)]

    def end(self) -> list[str]:
        """No more text follows: returns the rest."""
        return [self._take(len(self._rest))] if self.is_waiting else []

    def _take(self, cut: int, *, ends: bool = True) -> str:
        piece, self._rest = self._rest[:cut], self._rest[cut:]
        self._seen = 0
        self._is_first = False
        self._is_start = ends and piece.rstrip(_CLOSERS + " \n")[-1:] in _ANY_END
        return piece

    def _cut(self) -> int:
        """Returns how much of the rest is a piece; 0 if none is complete."""
        rest = self._rest
        for i in range(self._seen, len(rest)):
            after = _after_marks(rest, i + 1)
            cut = self._cut_at(i, after) if after < len(rest) else None
            if cut is None and i + 1 < _LONGEST:  # what follows decides
                break
            self._seen = i + 1
            if cut and rest[:cut].strip():
                return cut
            if i + 1 >= _LONGEST:
                return _last_blank(rest, i + 1)
        return 0

    def _cut_at(self, i: int, after: int) -> int | None:
        """Returns where a piece ends that has its last mark at `i`; 0 if none does, None if that is not known yet."""
        rest, mark = self._rest, self._rest[i]
        if mark == "\n":
            return i + 1
        if mark in _WIDE_CLAUSE_ENDS and self._is_first and len(words(rest[:i])) > _FIRST_WORDS:
            return after
        is_blank = rest[after].isspace()
        if mark in _CLAUSE_ENDS and is_blank and self._is_first and len(words(rest[:i])) >= _FIRST_WORDS:
            return after + 1
        if mark not in _ANY_END or (i and rest[i - 1] in _ANY_END) or not self._is_long_enough(after):
            return 0
        if not is_blank:
            is_end = mark in _WIDE_ENDS or _is_wide(rest[after]) or (mark == "…" and rest[after].isdecimal())
            return after if is_end else 0
        if mark in _PAUSES or rest.startswith("..", i):
            goes_on = _is_small(rest, after)
        else:
            goes_on = mark == "." and after == i + 1 and dots.goes_on(rest, i, is_start=self._is_start)
        return None if goes_on is None else 0 if goes_on else after + 1

    def _is_long_enough(self, length: int) -> bool:
        return self._is_first or sum(1 + _is_wide(character) for character in self._rest[:length]) >= _SHORT


def _after_marks(text: str, start: int) -> int:
    """Returns where the marks end that belong to the one before: "?!", "...", a quotation mark."""
    end = min(len(text), start + _MOST_MARKS)
    while start < end and text[start] in _FOLLOWERS:
        start += 1
    return start


def _is_small(text: str, blank: int) -> bool | None:
    """True if the text goes on with a small letter after a blank; None if that is not known yet."""
    following = text[blank:].lstrip()[:1]
    return following.islower() if following else None


def _last_blank(text: str, end: int) -> int:
    blank = max(text.rfind(mark, 0, end) for mark in " \n\t")
    return blank + 1 if blank > 0 and text[:blank].strip() else end


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in {"W", "F"}
