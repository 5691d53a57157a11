"""The words of a transcript with their times, sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from patter_core.events import Word
from patter_deepgram.wire.nova import SpokenWord

__all__ = ["words_of"]


def words_of(text: str, spoken: Sequence[SpokenWord], ms: Callable[[float], float]) -> tuple[Word, ...]:
    """Returns the words of a text, each with the blanks and marks that follow it.

    None if they are not the words of the text, or have no times: formatting may write several words as one.

    Args:
        text: as the service wrote it.
        spoken: its words.
        ms: turns a time of the service into ms.
    """
    places: list[int] = []
    at = 0
    for word in spoken:
        written = word.punctuated_word or word.word
        at = text.find(written, at)
        if not written or at < 0 or word.start is None or word.end is None:
            return ()
        places.append(at)
        at += len(written)
    if not places or text[: places[0]].strip():
        return ()
    words: list[Word] = []
    last = 0.0
    for place, end, word in zip([0, *places[1:]], [*places[1:], len(text)], spoken, strict=True):
        start_ms = max(last, ms(word.start or 0.0))
        last = max(start_ms, ms(word.end or 0.0))
        words.append(Word(text=text[place:end], start_ms=start_ms, end_ms=last))
    return tuple(words)
