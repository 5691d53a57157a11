"""What clients of the emulated Scribe realtime may say, strictly: an unknown field is refused."""

from __future__ import annotations

from typing import Literal

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.errors import AudioError
from patter_elevenlabs.formats import FORMATS
from patter_elevenlabs.testing.speech import Refused

__all__ = ["OPTIONS", "AudioMessage", "decode"]

_BOOLEAN = frozenset({"true", "false"})
_LONGEST_MS = 10_000
"""Of one chunk: unconfirmed."""

OPTIONS: dict[str, frozenset[str] | None] = {
    "model_id": frozenset({"scribe_v2_realtime"}),
    "audio_format": frozenset(FORMATS),
    "commit_strategy": frozenset({"manual", "vad"}),
    "language_code": None,
    "secondary_languages": None,
    "include_timestamps": _BOOLEAN,
    "include_language_detection": _BOOLEAN,
    "vad_silence_threshold_secs": None,
    "vad_threshold": None,
    "min_speech_duration_ms": None,
    "min_silence_duration_ms": None,
    "keyterms": None,
    "no_verbatim": _BOOLEAN,
    "filter_background_audio": _BOOLEAN,
    "enable_logging": _BOOLEAN,
}
"""Of the query."""


class AudioMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A message of a client."""

    message_type: Literal["input_audio_chunk"]
    audio_base_64: str
    commit: bool
    sample_rate: int
    previous_text: str | None = None


def decode(text: str, format: AudioFormat, *, first: bool) -> tuple[AudioMessage, bytes]:
    """Decodes a message, and its audio.

    Args:
        text: of the message.
        format: of the session.
        first: no other one came before it.

    Raises:
        Refused: it is none, or its audio is not what the session has.
    """
    try:
        message = msgspec.json.decode(text, type=AudioMessage)
        audio = AudioChunk.from_base64(message.audio_base_64, format)
    except (msgspec.DecodeError, AudioError) as error:
        raise Refused("input_error", str(error)) from None
    if message.sample_rate != format.sample_rate:
        raise Refused("input_error", "The sample rate is not that of the session.")
    if message.previous_text is not None and not first:
        raise Refused("input_error", "previous_text comes with the first chunk only.")
    if audio.duration_ms > _LONGEST_MS:
        raise Refused("chunk_size_exceeded", "The chunk is too long.")
    return message, audio.data
