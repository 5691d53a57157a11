"""The messages on the page are ours: each is found in the code, with "…" for what is put into it."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
FIELD = re.compile(r"%r|%[.\d]*[sdgf]")
"""What the logging module fills in."""


def quoted() -> list[str]:
    """The first cell of each row: a message, or several."""
    cells = re.findall(r"^\| (`.+?) \| ", PAGE.read_text(), re.MULTILINE)
    spans = [re.findall(r"`` (.+?) ``|`(.+?)`", cell) for cell in cells]
    return [one or other for found in spans for one, other in found if len(one or other) > 10]


def texts_of_python(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=values):
                yield "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in values)
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield FIELD.sub("…", text)
            case _:
                pass


@functools.cache
def texts() -> frozenset[str]:
    """Every text in the code, with "…" for what is put into it."""
    found: set[str] = set()
    for package in [ROOT / "patter_core", *(path.parent for path in ROOT.glob("plugins/*/*/__init__.py"))]:
        for path in package.rglob("*.py"):
            if "testing" not in path.parts:
                found.update(texts_of_python(path))
        for path in package.rglob("*.js"):
            found.update(re.findall(r'"((?:[^"\\\n])+)"', path.read_text()))
    return frozenset(found)


def own(text: str) -> int:
    """How many letters a text has beside what is put into it."""
    return sum(map(str.isalpha, text))


def longest(text: str) -> str:
    return max(text.split("…"), key=len)


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(".+".join(map(re.escape, pattern.split("…"))), text, re.DOTALL) is not None


def is_written(message: str) -> bool:
    """True if a text of the code is that message: either may have more put into it than the other."""
    return message in texts() or any(
        (longest(message) in text and fits(message, text))
        or (own(text) * 2 > own(message) and longest(text) in message and fits(text, message))
        for text in texts()
    )


def test_a_message_that_nothing_writes_is_found_out() -> None:
    assert not is_written("The public address is out to lunch.")
    assert not is_written("Cannot listen on … port …, sorry.")


def test_every_message_on_the_page_is_one_of_the_code() -> None:
    assert not [message for message in quoted() if not is_written(message)]


def test_the_page_has_the_messages_that_users_meet_most() -> None:
    assert len(quoted()) >= 50
