"""Formats, and chunks that are base64 text or bytes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_core.errors import AudioError

FORMATS = [ULAW_8000, ALAW_8000, PCM16_16000]


# --- formats -------------------------------------------------------------------------------------------------------


def test_a_format_reads_as_the_vendors_write_it() -> None:
    assert [str(format) for format in FORMATS] == ["ulaw_8000", "alaw_8000", "pcm_16000"]


def test_equal_formats_are_equal_keys() -> None:
    assert {AudioFormat(Encoding.ULAW, 8_000): "same"}[ULAW_8000] == "same"


@pytest.mark.parametrize(("format", "rate"), [(ULAW_8000, 8_000), (ALAW_8000, 8_000), (PCM16_16000, 32_000)])
def test_a_second_of_audio(format: AudioFormat, rate: int) -> None:
    assert format.byte_rate == rate
    assert format.duration_ms(rate) == 1000
    assert format.size(1000) == rate


@pytest.mark.parametrize("rate", [0, -8_000, 3_999, 192_001])
def test_an_impossible_rate_is_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=f"No such audio format.*{rate} Hz"):
        AudioFormat(Encoding.PCM16, rate)


@given(st.floats(0, 10_000), st.sampled_from([*FORMATS, AudioFormat(Encoding.PCM16, 22_050)]))
def test_a_size_is_whole_samples_and_never_longer_than_asked(duration_ms: float, format: AudioFormat) -> None:
    size = format.size(duration_ms)
    assert size % format.sample_width == 0
    assert duration_ms - 1000 / format.sample_rate - 1e-6 <= format.duration_ms(size) <= duration_ms + 1e-6


def test_silence_is_one_sample() -> None:
    assert [format.silence for format in FORMATS] == [b"\xff", b"\xd5", b"\0\0"]


# --- chunks --------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=1_000))
def test_text_and_bytes_are_the_same_audio(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    from_text, from_bytes = AudioChunk.from_base64(text, ULAW_8000), AudioChunk(data, ULAW_8000)
    assert from_text.size == from_bytes.size == len(data)
    assert from_text.data == from_bytes.data == data
    assert from_text.base64 == from_bytes.base64 == text
    assert from_text.duration_ms == from_bytes.duration_ms


def test_text_passes_as_the_very_object_that_came() -> None:
    text = base64.b64encode(bytes(160)).decode()
    assert AudioChunk.from_base64(text, ULAW_8000).base64 is text


def test_bytes_pass_as_the_very_object_that_came() -> None:
    data = bytes(range(160))
    assert AudioChunk(data, ULAW_8000).data is data


def test_neither_is_made_before_it_is_asked_for_and_each_once() -> None:
    from_text = AudioChunk.from_base64(base64.b64encode(bytes(160)).decode(), ULAW_8000)
    from_bytes = AudioChunk(bytes(160), ULAW_8000)
    assert (from_text.size, from_text.duration_ms) == (from_bytes.size, from_bytes.duration_ms) == (160, 20)
    assert from_text._data is None
    assert from_bytes._base64 is None
    assert from_text.data is from_text.data
    assert from_bytes.base64 is from_bytes.base64


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AAA",
        "AAAAA",
        "A===",
        "====",
        "AA=A",
        "AAA=AAAA",
        "AA AA===",
        "AAAA\n",
        "AAA\n",
        "AA-_",
        'AA"}',
        "AAAé",
        "＝＝＝＝",
        "000\0",
        "\ud800AAA",
    ],
)
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(AudioError, match="not base64"):
        AudioChunk.from_base64(text, ULAW_8000)


@given(st.text(max_size=40))
def test_any_text_is_audio_or_an_error_of_ours_and_never_more(text: str) -> None:
    try:
        chunk = AudioChunk.from_base64(text, ULAW_8000)
    except AudioError:
        return
    assert len(chunk.data) == chunk.size
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


@given(st.integers(0, 400))
def test_half_a_sample_is_refused_however_it_comes(size: int) -> None:
    data, odd = bytes(size), size % 2
    if odd:
        with pytest.raises(AudioError, match=f"whole pcm_16000 samples. Got {size} bytes"):
            AudioChunk(data, PCM16_16000)
        with pytest.raises(AudioError, match=f"whole pcm_16000 samples. Got {size} bytes"):
            AudioChunk.from_base64(base64.b64encode(data).decode(), PCM16_16000)
    else:
        assert (
            AudioChunk(data, PCM16_16000).size
            == AudioChunk.from_base64(base64.b64encode(data).decode(), PCM16_16000).size
        )


def test_no_audio_is_a_chunk_too() -> None:
    chunk = AudioChunk.from_base64("", ULAW_8000)
    assert (chunk.size, chunk.data, chunk.base64, chunk.duration_ms) == (0, b"", "", 0)


def test_it_unpacks_as_the_events_do() -> None:
    chunk = AudioChunk(b"\xff\xff", ULAW_8000)
    kind, payload = chunk
    assert (kind, payload, chunk.type) == ("audio", b"\xff\xff", "audio")


def test_its_repr_tells_no_audio() -> None:
    assert repr(AudioChunk(b"secret" * 40, ULAW_8000)) == "<AudioChunk ulaw_8000 30 ms>"
