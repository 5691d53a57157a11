"""The words of a text, as they are compared: without case, marks and blanks."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["is_echo", "words"]

_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")
_ECHO = 2
"""Words that an echo has at least: a single one is as likely to be the caller's."""


def words(text: str) -> list[str]:
    """Returns the words; in scripts that put no blanks between words, each character is one."""
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if any(_is_wide(character) for character in word):
            found.extend(character for character in word if character.isalnum())
        else:
            found.append(word.replace("’", "'"))
    return found


def is_echo(text: str, spoken: str) -> bool:
    """True if the text is a run of words of what the agent says: it may have been heard from its own voice."""
    run, source = words(text), words(spoken)
    return len(run) >= _ECHO and any(source[i : i + len(run)] == run for i in range(len(source) - len(run) + 1))


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in {"W", "F"}
