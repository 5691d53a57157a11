"""Both sides lie on one clock: the caller where it was spoken, the agent where it was heard."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.sinks.stereo_mix import StereoMix

PCM = AudioFormat(Encoding.PCM16, 8_000)


def tone(level: int, ms: float) -> AudioChunk:
    return AudioChunk(np.full(round(ms * 8), level, "<i2").tobytes(), PCM)


def sides(audio: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    stereo = np.frombuffer(audio, "<i2").reshape(-1, 2)
    return stereo[:, 0], stereo[:, 1]


def listen(take: StereoMix, start_ms: float, frames: int, level: int = 5) -> None:
    for index in range(frames):
        take.caller(tone(level, 20), start_ms + (index + 1) * 20)


def test_the_agent_stands_where_it_began_to_be_heard() -> None:
    take = StereoMix(PCM, 1000)
    listen(take, 1000, 10)
    take.agent(tone(7, 40), 1100)
    take.agent(tone(8, 40), 1101)  # sent at once, played when the first has been
    caller, agent = sides(take.past())
    assert list(caller) == [5] * 1600
    assert list(agent) == [0] * 800 + [7] * 320 + [8] * 320 + [0] * 160


def test_what_the_caller_talked_over_is_cut_even_if_it_was_sent_long_before() -> None:
    take = StereoMix(PCM, 0)
    take.agent(tone(7, 5000), 0)
    listen(take, 0, 5)
    past = take.past()
    take.cut(150)
    listen(take, 100, 10)
    _, agent = sides(past + take.past())
    assert list(agent) == [7] * 1200 + [0] * 1200
    take.agent(tone(9, 20), 300)  # the next turn does not wait for what was cut
    listen(take, 300, 1)
    assert list(sides(take.past())[1]) == [9] * 160


def test_at_the_end_the_agent_is_heard_up_to_there() -> None:
    take = StereoMix(PCM, 0)
    listen(take, 0, 1)
    take.agent(tone(7, 1000), 20)
    caller, agent = sides(take.rest(100))
    assert list(caller) == [5] * 160 + [0] * 640
    assert list(agent) == [0] * 160 + [7] * 640


def test_a_stall_that_ends_in_a_burst_changes_nothing() -> None:
    take = StereoMix(PCM, 0)
    for index in range(200):
        take.caller(tone(5, 20), max(20 * (index + 1), 3000))  # nothing comes for 3 s, then all at once
    caller, _ = sides(take.past())
    assert len(caller) == 200 * 160


def test_frames_that_were_lost_are_replaced_by_silence() -> None:
    take = StereoMix(PCM, 0)
    listen(take, 0, 50)
    listen(take, 3000, 100)  # two seconds of frames never came
    caller, _ = sides(take.past())
    assert len(caller) == (150 + 100) * 160
    assert np.count_nonzero(caller == 0) == 100 * 160


def test_other_encodings_and_rates_are_converted() -> None:
    take = StereoMix(ULAW_8000, 0)
    take.caller(AudioChunk(b"\xff" * 800, ULAW_8000), 100)
    take.agent(AudioChunk(np.full(1600, 1000, "<i2").tobytes(), PCM16_16000), 0)
    caller, agent = sides(take.past())
    assert not caller.any()
    assert abs(int(agent[400]) - 1000) < 50
    take.cut(100)
    assert take.rest(100) == b""


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("caller"), st.integers(1, 3)),
            st.tuples(st.just("agent"), st.integers(1, 50)),
            st.tuples(st.just("cut"), st.just(0)),
            st.tuples(st.just("past"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_whatever_happens_both_sides_are_as_long_as_the_caller_spoke(moves: list[tuple[str, int]]) -> None:
    take, now, heard, given_out = StereoMix(PCM, 0), 0.0, 0, b""
    for move, frames in moves:
        match move:
            case "caller":
                now += 20 * frames
                heard += 160 * frames
                take.caller(tone(5, 20 * frames), now)
            case "agent":
                take.agent(tone(7, 20 * frames), now)
            case "cut":
                take.cut(now)
            case _:
                given_out += take.past()
    caller, _ = sides(given_out + take.past())
    assert list(caller) == [5] * heard
