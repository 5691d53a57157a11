"""Whether the caller dictates digits or spells: they pause between groups, and are not done yet."""

from __future__ import annotations

import re

from patter_pipeline.turns.words import words

__all__ = ["is_dictating"]

_NUMBERS: dict[str, str] = {
    "en": "zero oh one two three four five six seven eight nine double triple hundred thousand",
    "it": "zero uno due tre quattro cinque sei sette otto nove doppio",
    "de": "null eins zwei zwo drei vier fünf sechs sieben acht neun doppel",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf double",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve doble",
    "pt": "zero um uma dois duas três quatro cinco seis meia sete oito nove",
}
_BY_LANGUAGE = {language: frozenset(words(listed)) for language, listed in _NUMBERS.items()}
_ALL = frozenset().union(*_BY_LANGUAGE.values())
_LONG = 3
"""Digits of a number that is a group of more, as a rule: shorter ones count and tell the time."""


def is_dictating(text: str, language: str = "") -> bool:
    """True if a text ends in two digits or letters, each by itself, or in a group of digits.

    One of them is no sign: "a table for four" is complete.

    Args:
        text: what the caller said so far.
        language: a code such as `it` or `pt-br`; one that is not known, and "", stand for all languages.
    """
    known = _BY_LANGUAGE.get(re.split(r"[-_]", language.casefold())[0], _ALL)
    last = words(text)[-2:]
    if not last:
        return False
    if sum(character.isdigit() for character in last[-1]) >= _LONG:
        return True
    return len(last) > 1 and all(word in known or word.isdigit() or _is_letter(word) for word in last)


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii() and word.isalpha()
