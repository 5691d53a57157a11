"""Messages are as long as the carrier says; nothing is lost, and silence is added at the end of a turn only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_core.audio.framer import Framer
from patter_core.errors import AudioError


def ulaw(size: int) -> AudioChunk:
    return AudioChunk(bytes(index % 251 for index in range(size)), ULAW_8000)


def test_a_chunk_that_is_a_message_by_itself_is_passed_as_it_is() -> None:
    chunk = AudioChunk.from_base64("/v//" * 40, ULAW_8000)
    assert Framer(ULAW_8000, longest_ms=20).push(chunk) == (chunk,)
    assert Framer(ULAW_8000).push(chunk) == (chunk,)


def test_a_long_chunk_becomes_many_frames_and_the_rest_waits_for_more() -> None:
    framer = Framer(ULAW_8000, frame_ms=20)
    assert [piece.size for piece in framer.push(ulaw(4_010))] == [160] * 25
    assert framer.push(ulaw(100)) == []
    assert [piece.size for piece in framer.push(ulaw(50))] == [160]
    assert framer.finish() == []


def test_the_end_of_a_turn_is_padded_with_silence_to_a_whole_frame() -> None:
    framer = Framer(PCM16_16000, frame_ms=20)
    framer.push(AudioChunk(b"\x01\x02" * 10, PCM16_16000))
    (padded,) = framer.finish()
    assert padded.data == b"\x01\x02" * 10 + b"\x00\x00" * 310


def test_what_is_dropped_does_not_come_back() -> None:
    framer = Framer(ULAW_8000, frame_ms=20)
    framer.push(ulaw(100))
    framer.drop()
    assert framer.finish() == []
    assert framer.push(ulaw(100)) == []


def test_a_piece_that_is_too_short_waits_and_one_that_is_too_long_is_cut() -> None:
    framer = Framer(ULAW_8000, shortest_ms=20, longest_ms=1_000)
    assert framer.push(ulaw(159)) == []
    assert [piece.size for piece in framer.push(ulaw(10))] == [169]
    assert [piece.size for piece in framer.push(ulaw(16_100))] == [8_000, 8_000]
    assert [piece.size for piece in framer.finish()] == [160]


@pytest.mark.parametrize("limits", [{"frame_ms": 0.01}, {"shortest_ms": 30.0, "longest_ms": 20.0}])
def test_limits_that_allow_no_message_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(AudioError, match="allow none"):
        Framer(ULAW_8000, **limits)


@given(
    st.lists(st.integers(0, 2_000), max_size=20),
    st.one_of(
        st.fixed_dictionaries({"frame_ms": st.integers(1, 60)}),
        st.fixed_dictionaries({"shortest_ms": st.integers(0, 30), "longest_ms": st.integers(30, 100)}),
    ),
)
def test_all_audio_goes_out_in_order_within_the_limits(sizes: list[int], limits: dict[str, int]) -> None:
    framer = Framer(ULAW_8000, **limits)
    whole, sent = b"", list[AudioChunk]()
    for size in sizes:
        chunk = ulaw(size)
        whole += chunk.data
        sent += framer.push(chunk)
    sent += framer.finish()
    shortest = ULAW_8000.size(limits.get("frame_ms") or limits["shortest_ms"])
    longest = ULAW_8000.size(limits.get("frame_ms") or limits["longest_ms"])
    assert all(shortest <= piece.size <= longest for piece in sent)
    played = b"".join(piece.data for piece in sent)
    assert played[: len(whole)] == whole
    assert set(played[len(whole) :]) <= {0xFF}
    assert len(played) - len(whole) < max(1, shortest)
