from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk
from patter_telnyx.framing import LONGEST_MS, SHORTEST_MS, Packets


@given(st.lists(st.binary(max_size=700), max_size=20))
def test_every_packet_is_long_enough_and_nothing_is_lost(pieces: list[bytes]) -> None:
    packets = Packets(ULAW_8000)
    sent = [packet for piece in pieces if (packet := packets.push(AudioChunk(piece, ULAW_8000)))]
    sent += packets.finish()
    assert all(SHORTEST_MS <= packet.duration_ms <= LONGEST_MS for packet in sent)
    whole = b"".join(packet.data for packet in sent)
    said = b"".join(pieces)
    assert whole.startswith(said)
    assert whole[len(said) :].count(0xFF) == len(whole) - len(said) < 160


def test_a_chunk_that_will_do_is_not_touched() -> None:
    chunk = AudioChunk(bytes(160), ULAW_8000)
    assert Packets(ULAW_8000).push(chunk) is chunk


def test_a_chunk_that_is_too_long_is_cut() -> None:
    packets = Packets(ULAW_8000)
    first = packets.push(AudioChunk(bytes(8 * LONGEST_MS + 8), ULAW_8000))
    assert first is not None
    assert [packet.duration_ms for packet in (first, *packets.finish())] == [LONGEST_MS, SHORTEST_MS]


def test_what_waits_can_be_dropped() -> None:
    packets = Packets(PCM16_16000)
    assert packets.push(AudioChunk(b"\x01\x02", PCM16_16000)) is None
    packets.drop()
    assert list(packets.finish()) == []


def test_linear_audio_is_filled_up_with_whole_samples_of_silence() -> None:
    packets = Packets(PCM16_16000)
    packets.push(AudioChunk(b"\x01\x02", PCM16_16000))
    (packet,) = packets.finish()
    assert packet.data == b"\x01\x02" + bytes(638)
