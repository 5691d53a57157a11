"""Messages of `/v1/speak`, which Aura's voices serve. Source: the types of the vendor's SDK. Audio is binary."""

from __future__ import annotations

import msgspec

__all__ = ["CLEAR", "CLOSE", "FLUSH", "IGNORED_TYPES", "Cleared", "Error", "Flushed", "Speak", "SpeakMessage"]
__all__ += ["Warning_", "encode_speak", "speak_decoder"]

FLUSH = b'{"type":"Flush"}'
CLEAR = b'{"type":"Clear"}'
CLOSE = b'{"type":"Close"}'

IGNORED_TYPES = frozenset({"Metadata"})


class Speak(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Speak"):
    """Text to be spoken after what was sent before."""

    text: str


class Flushed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Flushed"):
    """All audio of the text before a `Flush` was sent."""


class Cleared(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Cleared"):
    """Text and audio before a `Clear` were dropped: what follows is of what was sent after it."""


class Warning_(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Warning"):  # noqa: N801 - a built-in
    code: str | None = None
    description: str | None = None


class Error(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Error"):
    code: str | None = None
    description: str | None = None


SpeakMessage = Flushed | Cleared | Warning_ | Error

speak_decoder: msgspec.json.Decoder[SpeakMessage] = msgspec.json.Decoder(SpeakMessage)
_encode = msgspec.json.Encoder().encode


def encode_speak(text: str) -> bytes:
    """Returns the message that has a text spoken."""
    return _encode(Speak(text=text))
