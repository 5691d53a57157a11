"""The last seconds of the caller's audio are kept: the newest of it, whole samples, and no more than 9 s of it."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import PCM16_16000, ULAW_8000, AudioChunk, AudioFormat
from patter_pipeline.recent import Recent

FORMATS = st.sampled_from([ULAW_8000, PCM16_16000])


def heard(format: AudioFormat, durations_ms: list[int]) -> tuple[Recent, bytes]:
    recent, whole = Recent(format), b""
    for number, duration_ms in enumerate(durations_ms):
        piece = bytes([number % 256]) * format.size(duration_ms)
        recent.keep(AudioChunk(piece, format))
        whole += piece
    return recent, whole


@given(FORMATS, st.lists(st.integers(1, 3_000), max_size=30), st.floats(0, 20_000))
def test_the_newest_audio_is_told(format: AudioFormat, durations_ms: list[int], asked_ms: float) -> None:
    recent, whole = heard(format, durations_ms)
    size = format.size(min(asked_ms, 8_000.0))
    expected = whole[max(0, len(whole) - size) :]
    assert recent.last(asked_ms) == expected
    chunks = list(recent.chunks(asked_ms))
    assert b"".join(chunk.data for chunk in chunks) == expected
    assert {chunk.duration_ms for chunk in chunks[:-1]} <= {20.0}


def test_what_is_forgotten_is_not_told() -> None:
    recent, whole = heard(ULAW_8000, [20] * 100)
    recent.forget_before(300.0)
    assert recent.last(8_000.0) == whole[-2_400:]


def test_an_hour_leaves_no_more_than_seconds_and_no_objects() -> None:
    recent = Recent(ULAW_8000)
    before = len(gc.get_objects())
    for _ in range(180_000):
        recent.keep(AudioChunk(b"\x7f" * 160, ULAW_8000))
    assert len(gc.get_objects()) - before < 20
    assert len(recent.last(60_000.0)) == 64_000
    assert recent._kept.__sizeof__() < 90_000
