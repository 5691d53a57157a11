"""How much of what the agent said the caller heard, as text. Sans-IO."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from patter_core.events import Word

__all__ = ["heard_text"]

_CHARACTERS_A_SECOND = 15.0
"""Of speech, where the length of the audio is not known, as it was not all made."""
_WIDE = 3
"""For how many a character counts that is a syllable or a word."""


def heard_text(
    text: str, *, heard_ms: float, audio_ms: float, words: Sequence[Word] = (), is_complete: bool = True
) -> str:
    """Returns the beginning of a text that was heard, up to the end of a word.

    Args:
        text: what the audio says, whole.
        heard_ms: how much of the audio was heard.
        audio_ms: how much of it there is.
        words: where each word is in the audio, if that is known. Otherwise the share of the text is that of the audio.
        is_complete: False if the audio ends before the text does.
    """
    if heard_ms <= 0:
        return ""
    said = ""
    for word in words:
        if word.end_ms > heard_ms:
            break
        said += word.text
    if words and text.startswith(said):
        return said.rstrip()
    if not is_complete:
        audio_ms = max(audio_ms, _reckoned_ms(text))
    share = heard_ms / audio_ms if audio_ms > 0 else 0.0
    return text if share >= 1 else text[: _end_of_word(text, int(len(text) * share))].rstrip()


def _reckoned_ms(text: str) -> float:
    return sum(_WIDE if _is_wide(character) else 1 for character in text) * 1000 / _CHARACTERS_A_SECOND


def _end_of_word(text: str, limit: int) -> int:
    """Returns the last position up to that one where a word ends."""
    while limit > 0:
        if text[limit].isspace() or _is_wide(text[limit - 1]) or _is_wide(text[limit]):
            return limit
        limit -= 1
    return 0


def _is_wide(character: str) -> bool:
    """True for characters of scripts that put no blanks between words."""
    return unicodedata.east_asian_width(character) in {"W", "F"}
