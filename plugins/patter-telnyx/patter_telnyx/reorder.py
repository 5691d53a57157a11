"""Puts the messages of a media socket in order, sans-IO: Telnyx documents that they may come out of order.

Numbered items pass a `Window`: in order, at once; after a gap, they wait until it closes or a few later ones have come,
since a frame that is later than that is useless. Keys have a time instead of a number: `Keys` holds them for a few
frames of audio, which is shorter than a key press, and sorts them.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Generic, TypeVar

__all__ = ["FAR", "FRAMES_TO_WAIT", "MOST_KEYS", "WINDOW", "Keys", "Window"]

WINDOW = 4
"""Items that may wait for a gap to close: 80 ms of audio."""
FAR = 50
"""Numbers farther off than this (1 s) are not out of order: the count restarted, or a second of audio is lost."""
FRAMES_TO_WAIT = 3
"""Frames of audio for which a key waits for an earlier one: 60 ms."""
MOST_KEYS = 16
"""Keys that may wait: more are not pressed in that time."""

T = TypeVar("T")


class Window(Generic[T]):
    """Numbered items in order. The count begins at the first number."""

    __slots__ = ("_expected", "_waiting", "lost")

    def __init__(self) -> None:
        self.lost = 0
        """The count of numbers that never came."""
        self._expected = -1
        self._waiting: dict[int, T] = {}

    def push(self, number: int, item: T) -> Sequence[T] | None:
        """Adds an item, and returns the items that are due; None if it is repeated or late."""
        ahead = number - self._expected if self._expected >= 0 else 0
        if ahead == 0 and not self._waiting:  # the usual case
            self._expected = number + 1
            return (item,)
        if -FAR <= ahead < 0 or number in self._waiting:
            return None
        if abs(ahead) > FAR:
            due = [*self.flush(), item]
            self.lost += max(0, number - self._expected)
            self._expected = number + 1
            return due
        self._waiting[number] = item
        if ahead and len(self._waiting) > WINDOW:
            self._skip_gap()
        return self._due()

    def flush(self) -> Sequence[T]:
        """Returns the items that wait, in order."""
        due: list[T] = []
        while self._waiting:
            self._skip_gap()
            due += self._due()
        return due

    def _skip_gap(self) -> None:
        first = min(self._waiting)
        self.lost += first - self._expected
        self._expected = first

    def _due(self) -> list[T]:
        due = []
        while self._expected in self._waiting:
            due.append(self._waiting.pop(self._expected))
            self._expected += 1
        return due


class Keys:
    """Pressed keys, by time."""

    __slots__ = ("_frames", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[float, str]] = []
        """The keys that wait, each with its time (Unix s)."""
        self._frames = 0

    def press(self, occurred_at: str, digit: str) -> str:
        """Adds a key, and returns the keys that are due: all that wait, if there are too many for a few frames.

        `occurred_at` is ISO 8601; an invalid one counts as latest.
        """
        self.waiting.append((_moment(occurred_at), digit))
        self._frames = 0
        return self.flush() if len(self.waiting) >= MOST_KEYS else ""

    def frame(self) -> str:
        """Counts a frame of audio, and returns the keys that are due, in order."""
        self._frames += 1
        return self.flush() if self._frames >= FRAMES_TO_WAIT else ""

    def flush(self) -> str:
        """Returns the keys that wait, in order."""
        digits = "".join(digit for _, digit in sorted(self.waiting, key=lambda pressed: pressed[0]))
        self.waiting.clear()
        return digits


def _moment(text: str) -> float:
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return math.inf
