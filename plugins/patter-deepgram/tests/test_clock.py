from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ULAW_8000
from patter_deepgram.clock import AudioClock

SECOND = 8_000


def test_times_are_those_of_the_audio_that_was_given() -> None:
    clock = AudioClock(ULAW_8000)
    clock.given = 2 * SECOND
    assert clock.ms(1.5) == 1_500
    assert clock.ms(-1.0) == 0
    assert clock.ms(7.0) == 2_000  # a service whose clock is ahead
    assert clock.ms(float("inf")) == 2_000


def test_silence_that_was_put_in_does_not_count() -> None:
    clock = AudioClock(ULAW_8000)
    clock.fill(SECOND)
    clock.fill(SECOND)
    clock.given = 3 * SECOND
    clock.fill(SECOND)
    clock.given = 4 * SECOND
    assert clock.sent == 7 * SECOND
    assert [clock.ms(seconds) for seconds in (0.5, 2.0, 3.0, 5.0, 5.5, 6.0, 7.0)] == [
        0,
        0,
        1_000,
        3_000,
        3_000,
        3_000,
        4_000,
    ]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 50_000)), max_size=20),
    st.lists(st.floats(0, 100), min_size=2, max_size=5),
)
def test_times_keep_their_order_and_lie_in_the_audio(steps: list[tuple[bool, int]], times: list[float]) -> None:
    clock = AudioClock(ULAW_8000)
    for is_gap, size in steps:
        if is_gap:
            clock.fill(size)
        else:
            clock.given += size
    told = [clock.ms(time) for time in sorted(times)]
    assert told == sorted(told)
    assert all(0 <= ms <= ULAW_8000.duration_ms(clock.given) for ms in told)
    assert clock.ms(clock.sent / SECOND) == pytest.approx(ULAW_8000.duration_ms(clock.given), abs=0.01)
