"""A process that serves calls looks for garbage among old objects rarely, and never among what was imported."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from patter_core.aio.garbage import collect_rarely


class Cycle:
    """Garbage, once nothing else refers to it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def rarely() -> Iterator[None]:
    before = gc.get_threshold()
    collect_rarely()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])


@pytest.mark.usefixtures("rarely")
def test_what_was_there_is_looked_at_no_more() -> None:
    assert gc.get_freeze_count() > 10_000
    assert gc.get_objects(generation=2) == []


@pytest.mark.usefixtures("rarely")
def test_calls_that_begin_cause_no_full_collection_for_long_and_then_one() -> None:
    before, held = full_collections(), list[Cycle]()
    while gc.get_count()[2] < 40 and len(held) < 10_000_000:
        held.append(Cycle())
    assert full_collections() == before
    while full_collections() == before and len(held) < 10_000_000:
        held.append(Cycle())
    assert full_collections() == before + 1
