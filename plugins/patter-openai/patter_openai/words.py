"""About where each word of a text is in its audio. Sans-IO."""

from __future__ import annotations

import re

from patter_core.events import Word

__all__ = ["spread"]

_WORD = re.compile(r"\S+\s*")


def spread(text: str, length_ms: float) -> tuple[Word, ...]:
    """Returns the words of a text, each with its share of the audio by its letters: nothing tells where they are."""
    pieces = _WORD.findall(text)
    if not pieces:
        return ()
    pieces[0] = text[: len(text) - len(text.lstrip())] + pieces[0]
    scale = length_ms / len(text)
    words: list[Word] = []
    at = 0
    for piece in pieces:
        words.append(Word(text=piece, start_ms=at * scale, end_ms=(at + len(piece)) * scale))
        at += len(piece)
    return tuple(words)
