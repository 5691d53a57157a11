"""Long work of a thread in pieces: between them the event loop gets Python's lock, for which it waits 5 ms else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["in_pieces"]

T = TypeVar("T")

_PIECE = 32
"""Items, each of about 10 μs."""
_PAUSE = 0.0001
"""Seconds: a thread that waits for the lock wakes up meanwhile."""


def in_pieces(items: Iterable[T]) -> Iterator[T]:
    """Yields the items, with a short pause after every few. Blocking."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _PIECE == 0:
            time.sleep(_PAUSE)
