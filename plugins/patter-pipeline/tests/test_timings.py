"""The stages of a turn, from the caller's last word on."""

from __future__ import annotations

from patter_core.events import TurnTimings
from patter_pipeline.timings import Timings


def test_the_stages_of_an_answer() -> None:
    timings = Timings()
    timings.caller_said(10.0, 10.6)
    timings.asked(1, 10.6)
    timings.token(1, 10.9)
    timings.token(1, 11.0)
    timings.speaks(2, 11.1)
    timings.audio(2, 11.3)
    timings.audio(2, 11.4)
    told = timings.sent(2, 11.31)
    stages = {"end_of_turn": 600.0, "first_token": 900.0, "first_text": 1100.0, "first_audio": 1300.0, "sent": 1310.0}
    assert told == TurnTimings(turn="2", stages_ms=stages)
    assert timings.sent(2, 12.0) is None


def test_a_draft_has_its_first_token_before_the_turn_ends() -> None:
    timings = Timings()
    timings.token(1, 10.3)
    timings.caller_said(10.0, 10.6)
    timings.asked(1, 10.6)
    timings.speaks(2, 10.6)
    timings.audio(2, 10.8)
    told = timings.sent(2, 10.8)
    assert told is not None
    assert told.stages_ms["first_token"] == 300.0


def test_what_answers_no_turn_is_not_told() -> None:
    timings = Timings()
    timings.speaks(1, 1.0)
    timings.audio(1, 1.2)
    assert timings.sent(1, 1.2) is None
    timings.caller_said(10.0, 10.6)
    timings.asked(2, 10.6)
    assert timings.sent(1, 10.7) is None


def test_requests_are_not_kept_for_ever() -> None:
    timings = Timings()
    for n in range(1_000):
        timings.token(n, float(n))
    timings.caller_said(2_000.0, 2_000.0)
    timings.asked(999, 2_000.0)
    timings.speaks(1_000, 2_000.0)
    told = timings.sent(1_000, 2_000.0)
    assert told is not None
    assert told.stages_ms["first_token"] == -1_001_000.0
