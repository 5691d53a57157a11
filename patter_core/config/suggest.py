"""The names that are known where a user wrote another one, and which of them may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "quoted"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns "Did you mean …?" for the known word that is most like this one; "" if none is."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else ""


def quoted(names: Iterable[str], link: str) -> str:
    """Returns names that a user chose, which may be words of a sentence, each in quotation marks.

    Args:
        names: of agents, for example.
        link: between them: `" or "`.
    """
    return link.join(f"“{name}”" for name in names)
