from __future__ import annotations

import pytest

from patter_core.audio import ALAW_8000, PCM16_16000, ULAW_8000, AudioChunk, AudioFormat, Encoding
from patter_telnyx.formats import Codec, stream_format, swapped


@pytest.mark.parametrize(
    ("encoding", "rate", "format"),
    [
        ("PCMU", 8_000, ULAW_8000),
        ("pcmu", 8_000, ULAW_8000),
        ("PCMA", 8_000, ALAW_8000),
        ("L16", 16_000, PCM16_16000),
        ("L16", 24_000, AudioFormat(Encoding.PCM16, 24_000)),
    ],
)
def test_a_supported_codec_has_its_format(encoding: str, rate: int, format: AudioFormat) -> None:
    assert stream_format(encoding, rate, 1) == format


@pytest.mark.parametrize(
    ("encoding", "rate", "channels"),
    [
        ("G722", 8_000, 1),
        ("OPUS", 16_000, 1),
        ("AMR-WB", 16_000, 1),
        ("PCMU", 16_000, 1),
        ("PCMU", 8_000, 2),
        ("L16", 1, 1),
    ],
)
def test_an_unsupported_codec_has_no_format(encoding: str, rate: int, channels: int) -> None:
    assert stream_format(encoding, rate, channels) is None


def test_each_codec_that_can_be_sent_has_its_format() -> None:
    assert [codec.audio_format for codec in Codec] == [ULAW_8000, ALAW_8000, PCM16_16000]


def test_the_bytes_of_each_sample_are_exchanged() -> None:
    assert swapped(AudioChunk(b"\x01\x02\x03\x04", PCM16_16000)).data == b"\x02\x01\x04\x03"
