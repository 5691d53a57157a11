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


def listen(mix: StereoMix, start_ms: float, frames: int, level: int = 5) -> None:
    for index in range(frames):
        mix.add_caller(tone(level, 20), start_ms + (index + 1) * 20)


def test_the_agent_stands_where_it_began_to_be_heard() -> None:
    mix = StereoMix(PCM, 1000)
    listen(mix, 1000, 10)
    mix.add_agent(tone(7, 40), 1100)
    mix.add_agent(tone(8, 40), 1101)  # sent at once, played when the first has been
    caller, agent = sides(mix.read_past())
    assert list(caller) == [5] * 1600
    assert list(agent) == [0] * 800 + [7] * 320 + [8] * 320 + [0] * 160


def test_what_the_caller_talked_over_is_cut_even_if_it_was_sent_long_before() -> None:
    mix = StereoMix(PCM, 0)
    mix.add_agent(tone(7, 5000), 0)
    listen(mix, 0, 5)
    past = mix.read_past()
    mix.cut(150)
    listen(mix, 100, 10)
    _, agent = sides(past + mix.read_past())
    assert list(agent) == [7] * 1200 + [0] * 1200
    mix.add_agent(tone(9, 20), 300)  # the next turn does not wait for what was cut
    listen(mix, 300, 1)
    assert list(sides(mix.read_past())[1]) == [9] * 160


def test_at_the_end_the_agent_is_heard_up_to_there() -> None:
    mix = StereoMix(PCM, 0)
    listen(mix, 0, 1)
    mix.add_agent(tone(7, 1000), 20)
    caller, agent = sides(mix.read_rest(100))
    assert list(caller) == [5] * 160 + [0] * 640
    assert list(agent) == [0] * 160 + [7] * 640


def test_a_stall_that_ends_in_a_burst_changes_nothing() -> None:
    mix = StereoMix(PCM, 0)
    for index in range(200):
        mix.add_caller(tone(5, 20), max(20 * (index + 1), 3000))  # nothing comes for 3 s, then all at once
    caller, _ = sides(mix.read_past())
    assert len(caller) == 200 * 160


def test_frames_that_were_lost_are_replaced_by_silence() -> None:
    mix = StereoMix(PCM, 0)
    listen(mix, 0, 50)
    listen(mix, 3000, 100)  # two seconds of frames never came
    caller, _ = sides(mix.read_past())
    assert len(caller) == (150 + 100) * 160
    assert np.count_nonzero(caller == 0) == 100 * 160


def test_other_encodings_and_rates_are_converted() -> None:
    mix = StereoMix(ULAW_8000, 0)
    mix.add_caller(AudioChunk(b"\xff" * 800, ULAW_8000), 100)
    mix.add_agent(AudioChunk(np.full(1600, 1000, "<i2").tobytes(), PCM16_16000), 0)
    caller, agent = sides(mix.read_past())
    assert not caller.any()
    assert abs(int(agent[400]) - 1000) < 50
    mix.cut(100)
    assert mix.read_rest(100) == b""


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
    mix, now, heard, read = StereoMix(PCM, 0), 0.0, 0, b""
    for move, frames in moves:
        match move:
            case "caller":
                now += 20 * frames
                heard += 160 * frames
                mix.add_caller(tone(5, 20 * frames), now)
            case "agent":
                mix.add_agent(tone(7, 20 * frames), now)
            case "cut":
                mix.cut(now)
            case _:
                read += mix.read_past()
    caller, _ = sides(read + mix.read_past())
    assert list(caller) == [5] * heard


def test_what_is_far_ahead_is_left_out_and_what_follows_stays_at_its_place() -> None:
    mix = StereoMix(PCM, 0)
    assert mix.add_agent(tone(7, 299_000), 0)
    assert not mix.add_agent(tone(8, 2_000), 0)
    listen(mix, 0, 50)
    mix.read_past()
    listen(mix, 1_000, 250)
    mix.read_past()
    assert mix.add_agent(tone(9, 1_000), 0)
    read = b""
    while audio := mix.read_rest(400_000):
        assert len(audio) <= 320_000
        read += audio
    _, agent = sides(read)
    assert list(np.unique(agent[: 293_000 * 8])) == [7]
    assert list(np.unique(agent[293_000 * 8 : 295_000 * 8])) == [0]
    assert list(np.unique(agent[295_000 * 8 :])) == [9]


def test_pieces_without_end_are_bounded() -> None:
    mix = StereoMix(PCM, 0)
    assert sum(mix.add_agent(tone(7, 0.125), 0) for _ in range(50_000)) == 30_000
    assert mix.add_agent(AudioChunk(b"", PCM), 0) is False
