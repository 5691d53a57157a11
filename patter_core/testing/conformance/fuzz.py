"""Malformed messages: made up, and made of real ones. Sans-IO."""

from __future__ import annotations

import json
from collections.abc import Iterator

from patter_core.testing.conformance.check import SENTINEL

__all__ = ["MALFORMED", "mutations"]

MALFORMED: tuple[str | bytes, ...] = (
    "",
    " ",
    "null",
    "true",
    "0",
    "-1e999",
    '""',
    "[]",
    "{}",
    "{",
    '{"',
    "[" * 2_000,
    SENTINEL,
    f'"{SENTINEL}"',
    json.dumps({"type": SENTINEL, "event": SENTINEL}),
    json.dumps({"type": None, "event": None}),
    json.dumps({"type": [], "event": {}}),
    "\x00\uffff",
    "x" * 70_000,
    b"",
    b"\xff\xfe\x00",
    b"{}",
    bytes(range(256)),
)
"""For any vendor's socket: none is a message of its protocol."""

_WRONG: tuple[object, ...] = (None, "", SENTINEL, True, -1, 10**30, 0.5, [], {}, [SENTINEL], {"type": SENTINEL})


def mutations(message: str) -> Iterator[str | bytes]:
    """Yields a real message broken: cut and doubled, and if it is JSON, with each field gone or wrong."""
    yield message.encode()
    yield from (message[: len(message) * part // 8] for part in range(1, 8))
    yield message + message
    try:
        tree: object = json.loads(message)
    except ValueError:
        return
    if isinstance(tree, dict):
        for changed in _changed(tree):
            yield json.dumps(changed)


def _changed(tree: dict[str, object]) -> Iterator[dict[str, object]]:
    """Yields the object with one field gone, or wrong, at any depth."""
    for key, value in tree.items():
        yield {other: kept for other, kept in tree.items() if other != key}
        for wrong in _WRONG:
            yield {**tree, key: wrong}
        if isinstance(value, dict):
            for changed in _changed(value):
                yield {**tree, key: changed}
