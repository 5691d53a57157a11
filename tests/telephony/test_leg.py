"""A leg keeps its numbers to itself, and progress knows its end."""

from __future__ import annotations

from patter_core.telephony.leg import Leg, Progress


def test_numbers_stay_out_of_the_repr() -> None:
    assert "555" not in repr(Leg(carrier="fake", call_id="leg-1", from_number="+15550001111"))


def test_a_final_progress_is_one_after_which_nothing_comes() -> None:
    assert [progress.value for progress in Progress if not progress.is_final] == ["dialling", "ringing", "answered"]
