from __future__ import annotations

from typing import get_args

import pytest

from patter_core.audio import ULAW_8000, AudioFormat, Encoding
from patter_core.errors import ConfigurationError
from patter_plivo.formats import ContentType, audio_format, check_content_type, stream_format


@pytest.mark.parametrize(
    ("content_type", "format"),
    [
        ("audio/x-mulaw;rate=8000", ULAW_8000),
        ("audio/x-l16;rate=8000", AudioFormat(Encoding.PCM16, 8_000)),
        ("audio/x-l16;rate=16000", AudioFormat(Encoding.PCM16, 16_000)),
        ("audio/x-l16;rate=24000", AudioFormat(Encoding.PCM16, 24_000)),
    ],
)
def test_each_content_type_has_its_format_and_start_names_it(content_type: ContentType, format: AudioFormat) -> None:
    check_content_type(content_type)
    assert audio_format(content_type) == format
    name, _, rate = content_type.partition(";rate=")
    assert stream_format(name, int(rate)) == stream_format(content_type, int(rate)) == format


def test_all_content_types_were_tried() -> None:
    assert len(get_args(ContentType)) == 4


@pytest.mark.parametrize(("encoding", "rate"), [("audio/x-mulaw", 16_000), ("audio/x-alaw", 8_000), ("", 0)])
def test_other_formats_are_none(encoding: str, rate: int) -> None:
    assert stream_format(encoding, rate) is None


@pytest.mark.parametrize("value", ["audio/x-mulaw", "audio/x-l16;rate=48000", "PCMU"])
def test_another_content_type_is_an_error_with_the_choices(value: str) -> None:
    with pytest.raises(ConfigurationError, match="audio/x-l16;rate=24000"):
        check_content_type(value)
