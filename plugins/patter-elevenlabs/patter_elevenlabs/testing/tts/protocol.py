"""What clients of the emulated text to speech may say, strictly: an unknown field is refused."""

from __future__ import annotations

import msgspec

from patter_core.audio import AudioFormat, Encoding
from patter_elevenlabs.testing.speech import Refused
from patter_elevenlabs.tts.wire import Dictionary

__all__ = ["FORMATS", "OPTIONS", "Message", "decode"]

FORMATS = {
    str(format): format
    for format in (
        AudioFormat(Encoding.ULAW, 8_000),
        AudioFormat(Encoding.ALAW, 8_000),
        *(AudioFormat(Encoding.PCM16, rate) for rate in (8_000, 16_000, 22_050, 24_000, 44_100)),
    )
}
"""Of the service's formats those that the emulator speaks: it has no codecs for MP3 and Opus."""

_BOOLEAN = frozenset({"true", "false"})

OPTIONS: dict[str, frozenset[str] | None] = {
    "model_id": frozenset(
        {"eleven_flash_v2", "eleven_flash_v2_5", "eleven_turbo_v2", "eleven_turbo_v2_5", "eleven_multilingual_v2"}
    ),
    "output_format": frozenset(FORMATS),
    "language_code": None,
    "auto_mode": _BOOLEAN,
    "sync_alignment": _BOOLEAN,
    "inactivity_timeout": frozenset(map(str, range(1, 181))),
    "apply_text_normalization": frozenset({"auto", "on", "off"}),
    "enable_ssml_parsing": _BOOLEAN,
    "enable_logging": _BOOLEAN,
    "seed": None,
}
"""Of the query."""


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    stability: float | None = None
    similarity_boost: float | None = None
    style: float | None = None
    use_speaker_boost: bool | None = None
    speed: float | None = None


class _Generation(msgspec.Struct, forbid_unknown_fields=True):
    chunk_length_schedule: list[float] | None = None


class Message(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message of a client, on either socket."""

    text: str | None = None
    context_id: str | None = None
    voice_settings: _Settings | None = None
    generation_config: _Generation | None = None
    pronunciation_dictionary_locators: list[Dictionary] | None = None
    flush: bool | None = None
    try_trigger_generation: bool | None = None
    close_context: bool | None = None
    close_socket: bool | None = None

    @property
    def has_settings(self) -> bool:
        """True if it has what only the first message of a context may have."""
        return bool(self.voice_settings or self.generation_config or self.pronunciation_dictionary_locators)


def decode(text: str) -> Message:
    """Decodes a message.

    Raises:
        Refused: it is none, or a value is out of range.
    """
    try:
        message = msgspec.json.decode(text, type=Message)
    except msgspec.DecodeError as error:
        raise Refused("invalid_message", str(error)) from None
    if message.text and not message.text.endswith(" "):
        raise Refused("invalid_message", "Each text ends with a single space.")
    settings = message.voice_settings
    if settings is not None:
        for name, least, most in (
            ("stability", 0, 1),
            ("similarity_boost", 0, 1),
            ("style", 0, 1),
            ("speed", 0.7, 1.2),
        ):
            value: float | None = getattr(settings, name)
            if value is not None and not least <= value <= most:
                raise Refused("invalid_voice_settings", f"{name} is out of range.")
    return message
