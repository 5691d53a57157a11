"""Whether a sentence goes on after a dot: of an abbreviation, an initial, an ordinal, the number of a list item.

A dot that no blank follows is not asked about: it is in an address, a decimal number or a time.
"""

from __future__ import annotations

import re

__all__ = ["goes_on"]

_BEFORE = 40
"""Characters before a dot that are looked at."""

_ABBREVIATIONS = """
    mr mrs ms dr prof st vs e.g i.e approx dept ext mt
    z.b d.h bzw ca evtl ggf inkl zzgl hr fr u.a
    sig sig.ra dott dott.ssa avv ing geom prof.ssa p.es
    mm mme mlle p.ex av bd
    sra srta dña p.ej aprox
    exmo exma dra
"""
_MAY_END = "etc usw ecc inc ltd jr sr ave env ud uds a.m p.m al str"
"""Abbreviations that are at the end of sentences, too."""
_BEFORE_NUMBERS = """
    no nos nr num núm n pág art fig vol ch sec tel abb kap ziff
    jan feb mar apr jun jul aug sep sept oct nov dec okt dez
"""
"""Abbreviations before a number only: "No. 5" goes on, and "No. We do not" does not."""
_MONTHS = """
    januar jänner februar märz april mai juni juli august september oktober november dezember
    mars maj desember december
"""
"""Where a day is an ordinal, and a month has a capital."""
_BEFORE_ORDINALS = "der die das den dem des ihr ihre ihrem ihren unser unsere jeder jede jeden"
"""German. Other languages write no dot after an ordinal, or go on with a small letter."""


def _one_of(listed: str) -> str:
    return "|".join(re.escape(word) for word in sorted(listed.split()))


_ANY = ""
_SMALL = r"[^\W\d_A-ZÀ-ÖØ-ÞΑ-ΩА-Я]"
_LETTER = r"[^\W\d_]"
_NUMBER = r"\d"
_BEGINS = r"(?:(?:^|\n)\s*|[.!?:;]\s+|[…。！？।؟]\s*)"
_ALONE = r"(?<![\w.=/@])"


def _row(before: str, after: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    return re.compile(f"(?:{before})$", re.IGNORECASE), re.compile(after) if after else None


# fmt: off
_ROWS = (
    #    what is before the dot                                            what is after it
    _row(rf"{_ALONE}(?:{_one_of(_ABBREVIATIONS)})",                        _ANY),
    _row(rf"{_ALONE}{_LETTER}",                                            _ANY),  # Mr. J. Brown
    _row(rf"(?<!\w)(?![ap]\.m$)(?:{_LETTER}\.)+{_LETTER}",                 _ANY),  # the U.S. office
    _row(rf"{_BEGINS}\d{{1,2}}",                                           _ANY),  # 2. milk
    _row(r"(?<![\w.,:])\d{1,2}",                                           _SMALL),  # am 3. und am 4. Mai
    _row(r"(?<![\w.,:])\d{1,2}",                                           rf"(?i:{_one_of(_MONTHS)})\b"),
    _row(rf"(?<!\w)(?:{_one_of(_BEFORE_ORDINALS)})\s+\d{{1,2}}",           _LETTER),  # der 2. Stock
    _row(rf"{_ALONE}(?:{_one_of(_BEFORE_NUMBERS)}|{_LETTER}+str)",         _NUMBER),  # Hauptstr. 5
    _row(rf"{_ALONE}(?:{_one_of(_MAY_END)})",                              rf"{_SMALL}|{_NUMBER}"),
)
# fmt: on
_NEXT = re.compile(r"\s+(\w+(?=\W)|[^\w\s])")


def goes_on(text: str, dot: int, *, is_start: bool) -> bool | None:
    """Tells whether a sentence goes on after a dot that a blank follows.

    Args:
        text: what is known.
        dot: where in it the dot is.
        is_start: the text begins a sentence.

    Returns:
        None if that depends on the word after it, which is not known yet.
    """
    before = text[max(0, dot - _BEFORE) : dot]
    if dot > _BEFORE or not is_start:
        before = f", {before}"
    found = [after for left, after in _ROWS if left.search(before)]
    if not all(found):
        return True
    following = _NEXT.match(text, dot + 1) if found else None
    if found and following is None:
        return None
    return any(after is not None and following is not None and after.match(following[1]) for after in found)
