from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_telnyx.framing import LONGEST_MS, SHORTEST_MS, Framer


@given(st.lists(st.binary(max_size=700), max_size=20))
def test_every_frame_is_long_enough_and_nothing_is_lost(pieces: list[bytes]) -> None:
    framer = Framer(ULAW_8000)
    sent = [frame for piece in pieces if (frame := framer.push(AudioChunk(piece, ULAW_8000)))]
    sent += framer.finish()
    assert all(SHORTEST_MS <= frame.duration_ms <= LONGEST_MS for frame in sent)
    whole = b"".join(frame.data for frame in sent)
    said = b"".join(pieces)
    assert whole.startswith(said)
    assert whole[len(said) :].count(0xFF) == len(whole) - len(said) < 160


def test_a_chunk_that_fits_is_passed_on_unchanged() -> None:
    chunk = AudioChunk(bytes(160), ULAW_8000)
    assert Framer(ULAW_8000).push(chunk) is chunk


def test_a_chunk_that_is_too_long_is_cut() -> None:
    framer = Framer(ULAW_8000)
    first = framer.push(AudioChunk(bytes(8 * LONGEST_MS + 8), ULAW_8000))
    assert first is not None
    assert [frame.duration_ms for frame in (first, *framer.finish())] == [LONGEST_MS, SHORTEST_MS]


def test_audio_that_waits_can_be_dropped() -> None:
    framer = Framer(PCM16_16000)
    assert framer.push(AudioChunk(b"\x01\x02", PCM16_16000)) is None
    framer.drop()
    assert list(framer.finish()) == []


def test_linear_audio_is_padded_with_whole_samples_of_silence() -> None:
    framer = Framer(PCM16_16000)
    framer.push(AudioChunk(b"\x01\x02", PCM16_16000))
    (frame,) = framer.finish()
    assert frame.data == b"\x01\x02" + bytes(638)
