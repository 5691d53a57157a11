"""The names that are known where a user wrote another one, and which of them may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = ["did_you_mean", "quoted", "without_brackets"]


_LIKE = 0.65
"""How alike two words must be. At 0.6, half of the letters in the same order make two of them alike."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns "Did you mean …?" for the known word that is most like this one; "" if none is."""
    names = list(known)
    lower = {name.lower(): name for name in names}
    near = [lower[name] for name in difflib.get_close_matches(word.lower(), lower, n=1, cutoff=_LIKE)]
    if not near:  # a word of a longer name
        parts = [(part, name) for name in names for part in re.split("[_-]", name) if part != name]
        words = {part: name for part, name in parts if len(part) > 3 or part == word.lower()}
        near = [words[part] for part in difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.75)]
    return f"Did you mean {near[0]}?" if near else ""


def without_brackets(host: str) -> str:
    """Returns what to do about an IPv6 address that is written as in a URL, where it stands alone; "" if it is not."""
    is_as_in_a_url = ":" in host and host.startswith("[") and host.endswith("]")
    return f"Leave out the brackets: {host[1:-1]}." if is_as_in_a_url else ""


def with_capability(kind: str, *names: str) -> str:
    """Returns what an error expects in place of a plugin that cannot do something, and where it is found.

    Args:
        kind: `carrier` or `engine`.
        names: of capabilities, of which one is enough.
    """
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind} with the capability {' or '.join(names)}, as `patter plugins -v` lists them"


def ways_to_set(setting: str) -> str:
    """Returns each place where a setting of a phone is set: an argument of `Patter`, a variable, a key of the file."""
    return f"Patter({setting}=…); for commands without a program PATTER_{setting.upper()}, or {setting} in patter.toml"


def quoted(names: Iterable[str], link: str) -> str:
    """Returns names that a user chose, which may be words of a sentence, each in quotation marks.

    Args:
        names: of agents, for example.
        link: between them: `" or "`.
    """
    return link.join(f"“{name}”" for name in names)
