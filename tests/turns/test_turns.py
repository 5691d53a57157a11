"""Turn taking on the recorded cases is as good as was measured, and what measures it finds a timer that is broken.

An hour of calls takes seconds, in a process of its own in which time is virtual.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.turns.cases import CASES, Kind
from tests.turns.clips import clip
from tests.turns.run import Measured

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(__file__).parent / "recordings"
LONG_PAUSE = re.compile(r"start_(table|it) \((0\.7|1) s\)")
"""In the middle of a sentence: longer than the end timer, after words after which none need follow."""


def measured(*arguments: str) -> dict[str, Measured]:
    command = [sys.executable, "-m", "tests.virtual_time", "tests.turns.run", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=True)
    return msgspec.json.decode(done.stdout, type=dict[str, Measured])


@pytest.fixture(scope="module")
def street() -> Measured:
    """The defaults, in a street: the noisier of the ordinary lines."""
    return measured("--ways", "default", "--lines", "street")["default"]


def test_the_caller_is_not_cut_off_in_a_pause_of_up_to_half_a_second_nor_where_more_must_follow(
    street: Measured,
) -> None:
    wrong = [name for name, what in street.faults.items() if what.startswith(("cut in", "early"))]
    assert all(LONG_PAUSE.match(name) for name in wrong), wrong
    assert street.figures.cut_in <= 3


def test_each_turn_is_answered_soon(street: Measured) -> None:
    figures = street.figures
    assert figures.unanswered == 0
    assert 400 <= figures.delays_ms[0] <= 720
    assert figures.delays_ms[1] <= 1_650  # of dictation, where the caller may go on


def test_noise_is_not_answered_and_interrupts_nothing(street: Measured) -> None:
    figures = street.figures
    assert (figures.false_answers, figures.false_interruptions) == (0, 0)
    assert 500 <= figures.pause_ms <= 950  # for words to come


def test_each_interruption_silences_the_agent_at_once(street: Measured) -> None:
    figures = street.figures
    assert figures.missed == 0
    assert 200 <= figures.stop_ms[0] <= 350
    assert figures.stop_ms[1] <= 450


def test_a_loud_street_and_people_who_talk_are_told_from_the_caller() -> None:
    figures = measured(
        "--ways",
        "default",
        "--lines",
        "loud street",
        "people talking",
        "--cases",
        "^(book|hours|yes|thanks|cough|mhm|wait|sorry|seven)",
    )["default"].figures
    assert (figures.unanswered, figures.false_answers, figures.false_interruptions, figures.missed) == (0, 0, 0, 0)
    assert figures.delays_ms[0] <= 850


def test_a_hasty_setting_is_found() -> None:
    cases = r"\(0\.[57] s\)|^(book|yeah|uh_huh|wait|sorry|stop)"
    hasty = measured("--ways", "default", "end-0.4", "barge-in-0.5", "--lines", "digital silence", "--cases", cases)
    default, end, barge_in = (hasty[way].figures for way in ("default", "end-0.4", "barge-in-0.5"))
    assert end.early >= default.early + 2
    assert end.delays_ms[0] < default.delays_ms[0] - 150
    assert barge_in.stop_ms[0] > default.stop_ms[0] + 100
    assert barge_in.false_pauses < default.false_pauses


def test_recordings_are_small_and_whole() -> None:
    files = sorted(RECORDINGS.glob("*.ulaw"))
    assert sum(file.stat().st_size for file in files) < 1_500_000
    used = {piece.clip for case in CASES for piece in (*case.pieces, *case.noises)}
    assert used <= {file.stem for file in files}
    for name in used:
        words = clip(name).words
        assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)
        assert all(word.start_ms < word.end_ms <= len(clip(name).audio) / 8 + 1 for word in words)
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.kind for case in CASES} == set(Kind)
