"""Streamed text, cut into what the voice is given: first a clause, so that it begins soon, then whole sentences.

The pieces joined are the text. Where they are cut does not depend on how the text was streamed, but for `clause`.
"""

from __future__ import annotations

import re
import unicodedata

from patter_pipeline.turns.words import words

__all__ = ["Sentences"]

_ENDS = ".!?…;:؟।"
_WIDE_ENDS = "。！？；…"
_CLAUSE_ENDS = ",–—-،"
_WIDE_CLAUSE_ENDS = "，、"
_CLOSERS = "\"')]}»”’」』）*"
_FIRST_WORDS = 3
"""Of a clause that is the first piece: less sounds cut off."""
_SHORT = 20
"""Characters up to which a later sentence is joined with the next: a voice sounds better with more."""
_LONGEST = 300
"""Characters of a piece without an end: services have limits, and a caller cannot wait."""
_ABBREVIATIONS_LISTED = """
    mr mrs ms dr prof st nr vs etc e.g i.e approx dept ext inc ltd jr sr mt ave
    z.b d.h bzw ca usw str tel evtl ggf inkl zzgl hr fr u.a
    sig sig.ra dott dott.ssa avv ing geom prof.ssa ecc p.es
    m mm mme mlle p.ex env av bd
    sra srta dña p.ej aprox ud uds pág núm
    exmo exma p.ext dra
"""
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_LISTED.split())
_DAY = 2
"""Digits of a day or of the number of a list item, as in "10. May"."""
_BEFORE_DOT = re.compile(r"[\w.]*$")


class Sentences:
    """The text of one answer, as it comes."""

    def __init__(self) -> None:
        self._rest = ""
        self._seen = 0
        """How much of the rest holds no place to cut."""
        self._is_first = True

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
        return [self._take(cut)]

    def end(self) -> list[str]:
        """No more text follows: returns the rest."""
        return [self._take(len(self._rest))] if self.is_waiting else []

    def _take(self, cut: int) -> str:
        piece, self._rest = self._rest[:cut], self._rest[cut:]
        self._seen = 0
        self._is_first = False
        return piece

    def _cut(self) -> int:
        """Returns how much of the rest is a piece; 0 if none is complete."""
        rest = self._rest
        for i in range(self._seen, len(rest)):
            after = _after_closers(rest, i + 1)
            if after >= len(rest):  # what follows decides
                break
            self._seen = i + 1
            cut = self._cut_at(i, after)
            if cut and rest[:cut].strip():
                return cut
            if i + 1 >= _LONGEST:
                return _last_blank(rest, i + 1)
        return 0

    def _cut_at(self, i: int, after: int) -> int:
        """Returns where a piece ends that has its last mark at `i`; 0 if none does."""
        rest, mark = self._rest, self._rest[i]
        if mark == "\n":
            return i + 1
        if mark in _WIDE_ENDS and self._is_long_enough(after):
            return after
        if mark in _WIDE_CLAUSE_ENDS and self._is_first and len(words(rest[:i])) > _FIRST_WORDS:
            return after
        if not rest[after].isspace():
            return 0
        if (
            mark in _ENDS
            and not (mark == "." and after == i + 1 and _is_inside(rest, i))
            and self._is_long_enough(after)
        ):
            return after + 1
        if mark in _CLAUSE_ENDS and self._is_first and len(words(rest[:i])) >= _FIRST_WORDS:
            return after + 1
        return 0

    def _is_long_enough(self, length: int) -> bool:
        return self._is_first or sum(1 + _is_wide(character) for character in self._rest[:length]) >= _SHORT


def _after_closers(text: str, start: int) -> int:
    while start < len(text) and text[start] in _CLOSERS:
        start += 1
    return start


def _is_inside(text: str, dot: int) -> bool:
    """True if a sentence goes on after that dot: of an abbreviation, an initial, a day, the number of a list item."""
    found = _BEFORE_DOT.search(text[:dot])
    word = found.group().casefold() if found else ""
    if word.isdigit():
        return len(word) <= 2
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()) or (len(word) == 3 and word[1] == ".")


def _last_blank(text: str, end: int) -> int:
    blank = max(text.rfind(mark, 0, end) for mark in " \n\t")
    return blank + 1 if blank > 0 and text[:blank].strip() else end


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in {"W", "F"}
