"""How long the caller has been speaking, by bare edges."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_pipeline.turns.voicing import Voicing


def test_a_burst_counts_speech_without_its_gaps() -> None:
    voicing = Voicing()
    voicing.begin(1.0)
    voicing.end(1.1)
    voicing.begin(1.2)
    assert voicing.reaches(0.3) == pytest.approx(1.4)
    assert voicing.has_spoken(1.25) == pytest.approx(0.15)
    assert voicing.began_at == 1.0
    voicing.end(1.3)
    assert voicing.reaches(0.3) == math.inf
    assert voicing.quiet_at(0.2) == pytest.approx(1.5)


def test_what_was_reached_is_in_the_past() -> None:
    voicing = Voicing()
    voicing.begin(1.0)
    voicing.end(2.0)
    voicing.begin(2.1)
    assert voicing.reaches(0.5) == 2.1


def test_speech_that_goes_on_after_it_was_forgotten_counts_from_its_next_edge() -> None:
    voicing = Voicing()
    voicing.begin(1.0)
    voicing.forget(1.2)
    voicing.begin(1.0)  # the same edge, told again
    assert not voicing.is_on
    assert not voicing.is_burst
    voicing.end(1.5)
    assert voicing.quiet_at(0.2) == math.inf
    voicing.begin(2.0)
    assert voicing.reaches(0.2) == 2.2


def test_what_was_forgotten_in_a_gap_is_no_part_of_what_is_told_late() -> None:
    voicing = Voicing()
    voicing.begin(1.0)
    voicing.end(1.1)
    voicing.forget(1.4)
    voicing.begin(1.3)
    assert voicing.reaches(0.2) == 1.5


def seen(voicing: Voicing) -> tuple[object, ...]:
    return voicing.is_on, voicing.began_at, voicing.ended_at, voicing.has_spoken(200)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=30))
def test_edges_in_any_order_and_repeated_make_sense(edges: list[tuple[bool, float]]) -> None:
    voicing = Voicing()
    last = -math.inf
    for begins, at in edges:
        edge = voicing.begin if begins else voicing.end
        edge(at)
        once = seen(voicing)
        edge(at)
        assert seen(voicing) == once
        assert voicing.is_on == begins
        assert voicing.has_spoken(0) >= 0
        assert voicing.ended_at >= last
        last = voicing.ended_at
