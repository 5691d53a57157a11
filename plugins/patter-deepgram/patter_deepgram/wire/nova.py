"""Messages of `/v1/listen`, which Nova's models serve. Source: the types of the vendor's SDK.

Decoding is lenient: the service adds fields and message types at any time.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "CLOSE_STREAM",
    "FINALIZE",
    "IGNORED_TYPES",
    "KEEP_ALIVE",
    "Alternative",
    "Channel",
    "Error",
    "NovaMessage",
    "Results",
    "SpokenWord",
    "UtteranceEnd",
    "nova_decoder",
]

KEEP_ALIVE = b'{"type":"KeepAlive"}'
FINALIZE = b'{"type":"Finalize"}'
CLOSE_STREAM = b'{"type":"CloseStream"}'
"""Messages to the service, as text: in binary they would be audio."""

IGNORED_TYPES = frozenset({"Metadata", "SpeechStarted", "ConfigureSuccess", "ConfigureFailure"})


class SpokenWord(msgspec.Struct, frozen=True):
    """A word; times in s."""

    word: str = ""
    start: float | None = None
    end: float | None = None
    punctuated_word: str | None = None


class Alternative(msgspec.Struct, frozen=True):
    transcript: str = ""
    words: tuple[SpokenWord, ...] = ()


class Channel(msgspec.Struct, frozen=True):
    alternatives: tuple[Alternative, ...] = ()


class Results(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Results"):
    """What was recognised in a stretch of audio; times in s from the first byte of audio."""

    start: float = 0.0
    duration: float = 0.0
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None
    channel: Channel = Channel()


class UtteranceEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="UtteranceEnd"):
    """No word came for a while."""

    last_word_end: float = 0.0


class Error(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Error"):
    variant: str | None = None
    code: str | None = None
    description: str | None = None
    message: str | None = None


NovaMessage = Results | UtteranceEnd | Error

nova_decoder: msgspec.json.Decoder[NovaMessage] = msgspec.json.Decoder(NovaMessage)
