"""A worker's memory is bounded: the oldest goes."""

from __future__ import annotations

from patter_core.server.bounded import BoundedDict


def test_the_oldest_goes_first() -> None:
    memory: BoundedDict[str, int] = BoundedDict(2)
    for number, key in enumerate("abc"):
        memory.put(key, number)
    assert [memory.get(key) for key in "abc"] == [None, 1, 2]
    assert "a" not in memory
    assert "c" in memory
