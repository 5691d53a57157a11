"""What listeners say while they go on listening: it is no interruption."""

from __future__ import annotations

import re

from patter_pipeline.turns.words import words

__all__ = ["is_backchannel"]

_MOST_WORDS = 4
"""Of a backchannel, such as "yeah yeah ok right"."""
_SOUND = re.compile(r"m+-?(h+-?m+)?|h+m+|u+h+(-?h+u+h+)?|a+h+(a+h*)?|o+h+|e+h+m*|u+h*m+|ä+h*m*|ö+h*")
"""Sounds that mean the same in all languages."""

_WORDS: dict[str, str] = {
    "en": "ok okay yeah yep yup yes sure right alright fine good great exactly really see i got it true indeed wow huh",
    "it": "ok okay sì si già certo esatto bene va giusto vero capisco capito perfetto d'accordo ecco davvero",
    "de": "ok okay ja jaja jo genau gut klar sicher richtig stimmt aha verstehe alles ach so mhm schön wirklich",
    "fr": "ok okay oui ouais d'accord bien sûr exact voilà c'est ça je vois très vraiment entendu parfait",
    "es": "ok okay vale sí si claro bien exacto ya entiendo muy bueno de acuerdo cierto verdad perfecto",
    "pt": "ok okay sim tá certo claro bem exato pois é isso entendi está bom muito verdade perfeito já",
}
_BY_LANGUAGE = {language: frozenset(words(listed)) for language, listed in _WORDS.items()}
_NOT_ALONE = frozenset(words("huh i it see got va de ach so alles je c'est ça très muy muito é está já ya"))
"""Words that are in a backchannel only beside another."""
_ALL = frozenset().union(*_BY_LANGUAGE.values())


def is_backchannel(text: str, language: str = "") -> bool:
    """True if a text is only such words or sounds, and a few of them.

    Args:
        text: what the caller said.
        language: a code such as `it` or `pt-br`; one that is not known, and "", stand for all languages.
    """
    known = _BY_LANGUAGE.get(re.split(r"[-_]", language.casefold())[0], _ALL)
    said = words(text)
    if not 0 < len(said) <= _MOST_WORDS or not all(word in known or _SOUND.fullmatch(word) for word in said):
        return False
    return len(said) > 1 or said[0] not in _NOT_ALONE
