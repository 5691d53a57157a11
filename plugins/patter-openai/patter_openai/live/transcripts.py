"""Whole texts out of the fragments of a Live session, which has no turns. Sans-IO; times are those of the fragments."""

from __future__ import annotations

import msgspec

__all__ = ["GAP_MS", "Gathered", "Gatherer"]

GAP_MS = 800
"""Quiet between two fragments that ends a text."""
_LONGEST = 20_000
"""Letters; a text that is as long is told, and a fragment that is longer is cut."""


class Gathered(msgspec.Struct, frozen=True):
    """A text, and when its first word began, in ms of the session."""

    text: str
    start_ms: float


class Gatherer:
    """Gathers the fragments of one side."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._start = self._end = 0.0

    def add(self, fragment: str, start_ms: float, end_ms: float) -> Gathered | None:
        """Takes a fragment. Returns the text before it, if it is complete."""
        complete = self.take() if self._pieces and self._is_over(start_ms) else None
        if not self._pieces:
            self._start = start_ms
        fragment = fragment[:_LONGEST]
        self._pieces.append(fragment)
        self._size += len(fragment)
        self._end = max(end_ms, start_ms)
        return complete

    def take(self) -> Gathered | None:
        """Returns what was gathered, if there is anything: nothing has come for a while, or the other side speaks."""
        text = "".join(self._pieces).strip()
        self._pieces, self._size = [], 0
        return Gathered(text, self._start) if text else None

    def _is_over(self, start_ms: float) -> bool:
        return start_ms - self._end >= GAP_MS or self._size >= _LONGEST
