"""The values of one worker's metrics: in memory, and beside it where other workers look for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from patter_otel.instruments import Instrument

__all__ = ["Copy", "Key", "Series", "width"]

Key = tuple[str, tuple[str, ...]]
"""The name of an instrument, and the values of its attributes, in their order."""


class Copy(Protocol):
    """Where values are kept beside the memory."""

    def put(self, key: Key, values: Sequence[float]) -> None:
        """Keeps the values of a series in place of those before. Never raises for a disk that is full."""

    def kept(self) -> Mapping[Key, Sequence[float]]:
        """Returns what was kept before this process had it."""

    def others(self) -> Iterator[tuple[Mapping[Key, Sequence[float]], bool]]:
        """Yields what each other worker has, and whether that one lives."""


def width(instrument: Instrument) -> int:
    """Returns how many values a series has: one; of a histogram each bucket's count, that of longer ones, the sum."""
    return len(instrument.bounds) + 2 if instrument.kind == "histogram" else 1


class Series:
    """All series of the instruments. Thread-safe.

    Args:
        instruments: what is measured.
        copy: keeps them for other workers; None where there are none.
    """

    def __init__(self, instruments: Sequence[Instrument], copy: Copy | None = None) -> None:
        self._instruments = {instrument.name: instrument for instrument in instruments}
        self._copy = copy
        self._lock = threading.Lock()
        kept = {} if copy is None else copy.kept()
        self._values = {key: list(values) for key, values in kept.items() if self._fits(key, values)}
        levels = [key for key in self._values if not self._is_count(key)]
        always = [(instrument.name, ()) for instrument in instruments if not instrument.attributes]
        for key in (*levels, *(key for key in always if key not in self._values)):
            self._values[key] = [0.0] * width(self._instruments[key[0]])
            if copy is not None:
                copy.put(key, self._values[key])

    def add(self, key: Key, changes: Mapping[int, float]) -> None:
        """Adds to values of a series, by their place in it."""
        with self._lock:
            values = self._values.get(key)
            if values is None:
                values = self._values[key] = [0.0] * width(self._instruments[key[0]])
            for place, change in changes.items():
                values[place] += change
            if self._copy is not None:
                self._copy.put(key, values)

    def totals(self) -> dict[Key, list[float]]:
        """Returns the sums over all workers: of counts, those of dead ones too; of levels, only what lives."""
        with self._lock:
            sums = {key: values.copy() for key, values in self._values.items()}
        for found, lives in () if self._copy is None else self._copy.others():
            for key, values in found.items():
                if self._fits(key, values) and (lives or self._is_count(key)):
                    ours = sums.setdefault(key, [0.0] * len(values))
                    sums[key] = [one + other for one, other in zip(ours, values, strict=True)]
        return sums

    def _is_count(self, key: Key) -> bool:
        """True for what only grows; a level is lost with the worker that has it."""
        instrument = self._instruments.get(key[0])
        return instrument is not None and instrument.kind != "up_down_counter"

    def _fits(self, key: Key, values: Sequence[float]) -> bool:
        """True unless another release has written it."""
        instrument = self._instruments.get(key[0])
        return instrument is not None and len(values) == width(instrument) and len(key[1]) == len(instrument.attributes)
