"""Plivo's content types as audio formats.

The names are those of Plivo's page "Audio streaming". Plivo does not document the byte order of L16; its own programs
read and write it little-endian, and so does this plugin.
"""

from __future__ import annotations

from typing import Literal, get_args

from patter_core.audio import ULAW_8000, AudioFormat, Encoding
from patter_core.errors import ConfigurationError

__all__ = ["ContentType", "audio_format", "check_content_type", "stream_format"]

ContentType = Literal[
    "audio/x-mulaw;rate=8000", "audio/x-l16;rate=8000", "audio/x-l16;rate=16000", "audio/x-l16;rate=24000"
]
"""What a stream is asked for: the codec and the rate of both directions."""

_FORMATS: dict[tuple[str, int], AudioFormat] = {
    ("audio/x-mulaw", 8_000): ULAW_8000,
    **{("audio/x-l16", rate): AudioFormat(Encoding.PCM16, rate) for rate in (8_000, 16_000, 24_000)},
}


def check_content_type(value: str) -> None:
    """Checks the content type that a user gave.

    Raises:
        ConfigurationError: Plivo does not stream it.
    """
    choices = get_args(ContentType)
    if value not in choices:
        raise ConfigurationError(
            "Plivo(content_type=…) is not one of its values.", expected=" or ".join(map(repr, choices)), got=repr(value)
        )


def audio_format(content_type: ContentType) -> AudioFormat:
    """Returns the format of a content type."""
    name, _, rate = content_type.partition(";rate=")
    return _FORMATS[name, int(rate)]


def stream_format(encoding: str, sample_rate: int) -> AudioFormat | None:
    """Returns the format that a stream's `start` names; None if it is not supported."""
    return _FORMATS.get((encoding.partition(";")[0].strip().lower(), sample_rate))
