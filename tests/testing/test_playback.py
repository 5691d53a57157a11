"""A carrier's playback: what is heard, when marks come back, and what is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from patter_core.audio import PCM16_16000, ULAW_8000, AudioFormat
from patter_core.testing.playback import PlaybackBuffer

FRAME_MS = 20
FRAME = 160


def test_audio_is_played_in_order_and_by_the_clock() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    buffer.append(b"\1" * 100)
    buffer.append(b"\2" * 100)
    assert buffer.play(FRAME_MS).frame == b"\1" * 100 + b"\2" * 60
    assert buffer.play(FRAME_MS).frame == b"\2" * 40 + b"\xff" * 120
    assert buffer.play(FRAME_MS).frame == b"\xff" * 160


def test_what_was_played_of_the_agent_is_told_apart_from_the_silence_around() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    buffer.append(b"\xff" * 200)
    assert [len(buffer.play(FRAME_MS).audio) for _ in range(3)] == [160, 40, 0]


def test_digital_silence_is_not_speech_unless_it_is_a_pause() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    speech, silence = b"\x10" * 160, b"\xff" * 160
    buffer.append(silence * 2 + speech + silence * 20 + speech)
    told = [buffer.play(20).audible for _ in range(26)]
    assert told == [False] * 2 + [True] * 15 + [False] * 6 + [True] + [False] * 2  # the last ones: nothing is played


@pytest.mark.parametrize("format", [ULAW_8000, PCM16_16000])
def test_silence_is_of_the_format(format: AudioFormat) -> None:
    played = PlaybackBuffer(format).play(FRAME_MS)
    assert played.frame == format.silence * (format.sample_rate // 50)
    assert played.audio == b""
    assert played.marks == ()


def test_it_is_audible_while_something_waits() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    assert not buffer.audible
    buffer.append(b"\1" * 200)
    assert (buffer.audible, buffer.duration_ms) == (True, 25)
    buffer.play(FRAME_MS)
    assert (buffer.audible, buffer.duration_ms) == (True, 5)
    buffer.play(FRAME_MS)
    assert (buffer.audible, buffer.duration_ms) == (False, 0)


def test_a_mark_comes_back_at_once_when_nothing_waits() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    assert buffer.mark("idle") == ["idle"]
    assert buffer.play(FRAME_MS).marks == ()


def test_a_mark_comes_back_with_the_last_of_the_audio_before_it() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    buffer.append(bytes(FRAME * 2))
    assert buffer.mark("first") == []
    buffer.append(bytes(FRAME))
    assert buffer.mark("second") == []
    assert buffer.mark("third") == []
    assert [buffer.play(FRAME_MS).marks for _ in range(4)] == [(), ("first",), ("second", "third"), ()]


def test_a_mark_in_the_middle_of_a_frame_comes_back_with_it() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    buffer.append(bytes(10))
    buffer.mark("early")
    buffer.append(bytes(FRAME))
    buffer.mark("late")
    assert [buffer.play(FRAME_MS).marks for _ in range(2)] == [("early",), ("late",)]


def test_clear_gives_back_every_pending_mark_in_order_and_leaves_silence() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    for name in ("a", "b", "c"):
        buffer.append(bytes(FRAME))
        buffer.mark(name)
    assert buffer.play(FRAME_MS).marks == ("a",)
    assert buffer.clear() == ["b", "c"]
    assert not buffer.audible
    assert buffer.play(FRAME_MS).audio == b""
    assert buffer.clear() == []
    assert (buffer.played_bytes, buffer.cleared_bytes) == (FRAME, 2 * FRAME)


def test_marks_after_a_clear_keep_their_place() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    buffer.append(bytes(FRAME * 5))
    buffer.clear()
    buffer.append(bytes(FRAME * 2))
    buffer.mark("new")
    assert [buffer.play(FRAME_MS).marks for _ in range(2)] == [(), ("new",)]


def test_beyond_ten_minutes_audio_is_dropped_and_counted() -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    assert buffer.append(bytes(8_000 * 599)) == 0
    assert buffer.append(bytes(8_000 * 3)) == 16_000
    assert (buffer.duration_ms, buffer.dropped_bytes) == (600_000, 16_000)
    buffer.play(FRAME_MS)
    assert buffer.append(bytes(FRAME + 1)) == 1


def test_the_bound_can_be_chosen() -> None:
    buffer = PlaybackBuffer(PCM16_16000, max_ms=100)
    assert buffer.append(bytes(4_000)) == 800


class Playing(RuleBasedStateMachine):
    """Whatever happens, no byte and no mark is lost or told twice."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = PlaybackBuffer(ULAW_8000, max_ms=500)
        self.sent = self.named = 0
        self.back: list[str] = []

    @rule(data=st.binary(max_size=2_000))
    def append(self, data: bytes) -> None:
        self.sent += len(data)
        self.buffer.append(data)

    @rule()
    def mark(self) -> None:
        self.back += self.buffer.mark(str(self.named))
        self.named += 1

    @rule()
    def clear(self) -> None:
        self.back += self.buffer.clear()
        assert len(self.back) == self.named

    @rule(frames=st.integers(1, 5))
    def play(self, frames: int) -> None:
        for _ in range(frames):
            self.back += self.buffer.play(FRAME_MS).marks

    @invariant()
    def every_byte_is_accounted_for(self) -> None:
        buffer = self.buffer
        waiting = ULAW_8000.size(buffer.duration_ms)
        assert self.sent == buffer.played_bytes + buffer.cleared_bytes + buffer.dropped_bytes + waiting
        assert waiting <= 4_000

    @invariant()
    def marks_come_back_in_order(self) -> None:
        assert self.back == [str(number) for number in range(len(self.back))]
        assert self.buffer.audible or len(self.back) == self.named


TestPlaying = Playing.TestCase


@given(st.lists(st.binary(max_size=900), max_size=10))
def test_what_is_heard_is_what_was_sent(pieces: list[bytes]) -> None:
    buffer = PlaybackBuffer(ULAW_8000)
    for piece in pieces:
        buffer.append(piece)
    heard = b""
    while buffer.audible:
        heard += buffer.play(FRAME_MS).audio
    assert heard == b"".join(pieces)
