"""Put what comes in disorder into order again, sans-IO.

Telnyx says of its media socket that messages may come out of order. What is numbered waits for its turn in a `Window`:
in order, it passes at once; a gap is waited for until a few later ones are here, since a frame that comes later than
that is of no use to anybody. Keys have a time instead of a number of their own, and wait for a few frames of audio in
`Keys`: nobody presses so fast that it shows, and what was dialled is not jumbled.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Generic, TypeVar

__all__ = ["FAR", "FRAMES_TO_WAIT", "WINDOW", "Keys", "Window"]

WINDOW = 4
"""Items that wait for a gap to close: 80 ms of audio."""
FAR = 50
"""Numbers this far off (1 s) are no disorder: the count began anew, or a second of audio is lost."""
FRAMES_TO_WAIT = 3
"""Frames of audio that a key waits for an earlier one: 60 ms."""

T = TypeVar("T")


class Window(Generic[T]):
    """Numbered items, in order again. The first number seen begins the count."""

    __slots__ = ("_expected", "_waiting", "lost")

    def __init__(self) -> None:
        self.lost = 0
        """Numbers that were given up."""
        self._expected = -1
        self._waiting: dict[int, T] = {}

    def push(self, number: int, item: T) -> Sequence[T] | None:
        """What is due now that this item has come; None if it is a repeat, or too late."""
        ahead = number - self._expected if self._expected >= 0 else 0
        if ahead == 0 and not self._waiting:  # nearly always
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
        """What waits, in order: nothing more will come."""
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
    """Keys that were pressed, by the time at which they were."""

    __slots__ = ("_frames", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[float, str]] = []
        self._frames = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def press(self, occurred_at: str, digit: str) -> None:
        """A key came. `occurred_at` as ISO 8601; what is none counts as latest."""
        self._waiting.append((_moment(occurred_at), digit))
        self._frames = 0

    def frame(self) -> str:
        """A frame of audio passed. The keys that have waited long enough, in order."""
        self._frames += 1
        return self.flush() if self._frames >= FRAMES_TO_WAIT else ""

    def flush(self) -> str:
        """All keys that wait, in order."""
        digits = "".join(digit for _, digit in sorted(self._waiting, key=lambda pressed: pressed[0]))
        self._waiting.clear()
        return digits


def _moment(text: str) -> float:
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return math.inf
