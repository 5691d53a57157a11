"""What a function's docstring says to an agent: what it does, and what its arguments are."""

from __future__ import annotations

import re

__all__ = ["arguments_of", "summary_of"]

_SECTION = re.compile(r"^(?:Args|Arguments|Parameters):\s*$")
_ARGUMENT = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def summary_of(docstring: str) -> str:
    """Returns the first paragraph, in one line.

    Args:
        docstring: without its indentation, as of `inspect.getdoc`.
    """
    return " ".join(docstring.strip().split("\n\n", 1)[0].split())


def arguments_of(docstring: str) -> dict[str, str]:
    """Returns the descriptions in the section `Args:`, by argument.

    Args:
        docstring: as of `summary_of`.
    """
    found: dict[str, list[str]] = {}
    lines = iter(docstring.splitlines())
    if not any(_SECTION.match(line) for line in lines):  # which leaves the lines behind it
        return {}
    indent = 0
    name = ""
    for line in lines:
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if not text:
            continue
        if depth == 0:
            break
        indent = indent or depth
        argument = _ARGUMENT.match(text) if depth <= indent else None
        if argument is not None:
            name, text = argument[1], argument[2]
        if name:
            found.setdefault(name, []).append(text)
    return {name: " ".join(" ".join(texts).split()) for name, texts in found.items()}
