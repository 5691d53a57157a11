"""When something was said: by its place in the audio, however its frames come."""

from __future__ import annotations

import random

import pytest

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.testing.speech import CALLER_LINES
from patter_pipeline.activity import WebRtcActivity
from patter_pipeline.audio_clock import AudioClock
from patter_pipeline.hearing import Ear
from patter_pipeline.turns import Settings, Turns, inputs
from patter_pipeline.turns.outputs import Ask, Output

FRAME, FRAME_S = 160, 0.02
QUIET = b"\xff" * 8_000
AUDIO = QUIET + CALLER_LINES[0].audio(ULAW_8000) + QUIET + QUIET


class Line:
    """A call, whose frames come when the test says; their times are told, and when the turn ended."""

    def __init__(self) -> None:
        self.now = 100.0
        self.edges: list[inputs.SpeechBegan | inputs.SpeechEnded] = []
        self.ended_at = 0.0
        self._turns = Turns(Settings(draft=False))
        self._times = AudioClock(ULAW_8000, lambda: self.now)
        self._ear = Ear(WebRtcActivity(), ULAW_8000, take=self._take, times=self._times)

    def _take(self, event: inputs.Input) -> None:
        if isinstance(event, inputs.SpeechBegan | inputs.SpeechEnded):
            self.edges.append(event)
        self._step(event)
        if isinstance(event, inputs.SpeechEnded):
            self._step(inputs.SttFinal("A table, please.", event.at - 1, event.at))

    def _step(self, event: inputs.Input) -> None:
        out: list[Output] = self._turns.step(event, self.now, heard_until=self._times.newest())
        if any(isinstance(one, Ask) for one in out):
            self.ended_at = self.now

    def hear(self, frame: bytes, at: float) -> None:
        """A frame comes at that time."""
        while self._turns.deadline() <= at:
            self.now = max(self.now, self._turns.deadline())
            self._step(inputs.TimePassed())
        self.now = at
        self._ear.hear(AudioChunk(frame, ULAW_8000))


def call(late: dict[int, float] | None = None, lost: range = range(0)) -> Line:
    """Has a call: some frames are late, which holds those after them up, and some are lost."""
    line, came = Line(), 100.0
    for place in range(len(AUDIO) // FRAME):
        if place in lost:
            continue
        came = max(came, 100.0 + (place + 1) * FRAME_S + (late or {}).get(place, 0.0))
        line.hear(AUDIO[place * FRAME : (place + 1) * FRAME], came)
    return line


EVEN = call()
END = round((EVEN.edges[-1].at - 100.0) / FRAME_S)
"""The frame with which the caller falls silent."""


def test_the_turn_ends_after_the_pause_that_it_is_given() -> None:
    assert EVEN.ended_at - EVEN.edges[-1].at == pytest.approx(0.6, abs=0.03)


def test_frames_that_come_unevenly_shift_nothing() -> None:
    noise = random.Random(4)
    line = call({place: noise.uniform(0, 0.08) for place in range(0, 400, 3)})
    assert [edge.at for edge in line.edges] == pytest.approx([edge.at for edge in EVEN.edges], abs=0.03)
    assert line.ended_at == pytest.approx(EVEN.ended_at, abs=0.05)


def test_frames_in_one_go_do_not_either() -> None:
    line = call({END - 3: 0.25})  # the last of what was said, and the silence after it
    assert line.edges[-1].at == pytest.approx(EVEN.edges[-1].at, abs=0.03)
    assert line.ended_at == pytest.approx(EVEN.ended_at, abs=0.05)


def test_the_turn_waits_for_silence_that_is_held_up_on_its_way() -> None:
    line = call({END + 10: 0.45})  # what is heard up to 0.2 s after the end comes in time, and then nothing for long
    assert line.ended_at > EVEN.edges[-1].at + 0.64
    assert line.ended_at == pytest.approx(EVEN.ended_at, abs=0.1)


def test_audio_that_is_lost_shifts_what_follows_for_a_moment_only() -> None:
    line = call(lost=range(END - 60, END - 45))  # 0.3 s of it, 0.9 s before the end
    assert line.edges[-1].at == pytest.approx(EVEN.edges[-1].at, abs=0.05)
    assert line.ended_at == pytest.approx(EVEN.ended_at, abs=0.05)


def test_after_a_long_gap_times_are_those_of_the_frames_that_come() -> None:
    now = 10.0
    clock = AudioClock(ULAW_8000, lambda: now)
    clock.give(FRAME)
    now = 25.0
    clock.give(FRAME)
    assert clock.at(20.0) == pytest.approx(25.0 - 0.02)
    assert clock.ago_ms(25.0 - 0.02) == pytest.approx(20.0)


def test_while_no_audio_comes_it_is_now() -> None:
    now = 7.0
    clock = AudioClock(ULAW_8000, lambda: now)
    assert (clock.at(0.0), clock.ago_ms(3.0)) == (7.0, 0.0)
    clock.give(8_000)
    now = 9.0
    assert clock.at(100.0) == pytest.approx(8.9)
