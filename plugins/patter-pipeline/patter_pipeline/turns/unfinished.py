"""Whether a sentence stops where none ends: people pause after "because" and "um", and are not done yet."""

from __future__ import annotations

import re

from patter_pipeline.turns.words import words

__all__ = ["is_unfinished"]

_SOUND = re.compile(r"u+h*m+|u+h+|e+h*r*m+|e+r+|e+u+h+|ä+h*m*|ö+h*m*|e+h+m+")
"""Sounds of thinking, in all languages."""

# What may also end a sentence is left out, such as "to", "is" and "so": waiting costs time.
_WORDS: dict[str, str] = {
    "en": "and but or because if the a an my your our their of than whether although unless",
    "it": "e o ma oppure se il lo gli un uno una di del della dei delle al alla ai con anche quindi",
    "de": "und oder aber weil dass wenn ob eine einen einem einer meine meinen meinem unser unsere sowie also",
    "fr": "et ou mais si le les un une des du de mon ma mes votre parce puis donc avec",
    "es": "y o pero si el los las un una de del al con mi porque pues",
    "pt": "e ou mas se os as um uma de do da dos das com meu minha então",
}
_BY_LANGUAGE = {language: frozenset(words(listed)) for language, listed in _WORDS.items()}
_UNKNOWN = _BY_LANGUAGE["en"] - {"a", "an"}
"""Of a language that is not known: what ends no sentence of another one, as a rule."""


def is_unfinished(text: str, language: str = "") -> bool:
    """True if a text ends in a word after which more follows, or in a sound of thinking.

    Args:
        text: what the caller said so far.
        language: a code such as `it` or `pt-br`; for one that is not known, and "", a few words count.
    """
    said = words(text)
    if not said or text.rstrip().endswith(("?", "？", "؟")):
        return False
    known = _BY_LANGUAGE.get(re.split(r"[-_]", language.casefold())[0], _UNKNOWN)
    if _SOUND.fullmatch(said[-1]):
        return True
    return len(said) > 1 and said[-1] in known
