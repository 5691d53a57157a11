"""Answers longer than what a carrier keeps, with each carrier: heard whole, or cut where the caller interrupts."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.carriers import EMULATORS
from tests.e2e.long_answer import CUT_AFTER, SECONDS, Outcome

ROOT = Path(__file__).parents[2]
MAX_BUFFERED_MS = {"vonage": 20_000.0, "plivo": 30_000.0}
"""What Patter lets wait at the carriers that keep only so much: 60 s and 40 s."""


def test_ninety_seconds_given_at_once_are_heard_byte_for_byte_and_never_fill_the_carriers_buffer() -> None:
    """Takes 6 s: the process has a clock of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.virtual_time", "tests.e2e.long_answer"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    outcomes = msgspec.json.decode(done.stdout, type=list[Outcome])
    assert [outcome.carrier for outcome in outcomes] == list(EMULATORS)
    for outcome in outcomes:
        assert (outcome.carrier, outcome.differs, outcome.problems) == (outcome.carrier, [], [])
        assert 0 <= outcome.heard_ms - CUT_AFTER * 1_000 <= 500  # the caller's word was recognised as speech
        assert outcome.kept_ms == pytest.approx(outcome.heard_ms, abs=20)
        most = min(SECONDS * 1_000, MAX_BUFFERED_MS.get(outcome.carrier, math.inf))
        assert most - 1_000 <= outcome.longest_ms <= most + 500
