"""The messages of Scribe realtime, sans-IO. Source: the types of the vendor's SDK. Decoding never raises."""

from __future__ import annotations

import msgspec

__all__ = ["ERRORS", "IGNORED", "NOTICES", "Incoming", "SessionConfig", "WordTime", "decode", "encode_audio"]

ERRORS = frozenset(
    {
        "auth_error",
        "chunk_size_exceeded",
        "error",
        "input_error",
        "invalid_request",
        "queue_overflow",
        "quota_exceeded",
        "rate_limited",
        "resource_exhausted",
        "session_time_limit_exceeded",
        "transcriber_error",
        "unaccepted_terms",
    }
)
"""Types of messages that end a session."""
IGNORED = "commit_throttled"
"""The type of a message that says that a commit was too early."""
NOTICES = frozenset({IGNORED, "insufficient_audio_activity", "warning"})
"""Types of messages after which a session goes on: a request was ignored, and nothing is lost."""


class SessionConfig(msgspec.Struct, frozen=True, gc=False):
    """What the service says that a session has."""

    audio_format: str | None = None


class WordTime(msgspec.Struct, frozen=True, gc=False):
    """A word, or the blank between two; in s of the session's audio."""

    text: str | None = None
    start: float | None = None
    end: float | None = None
    type: str | None = None


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the service, told apart by its type."""

    type: str = msgspec.field(name="message_type", default="")
    text: str | None = None
    words: tuple[WordTime, ...] | None = None
    config: SessionConfig | None = None
    error: str | None = None


_decode = msgspec.json.Decoder(Incoming).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def decode(message: bytes) -> Incoming | None:
    """Decodes a message; None if it is none of the service's."""
    try:
        return _decode(message)
    except _UNREADABLE:
        return None


def encode_audio(base64: str, sample_rate: int, *, commit: bool = False) -> bytes:
    """Returns the message with audio; with `commit`, the text up to here is wanted."""
    end = "true" if commit else "false"
    return (
        f'{{"message_type":"input_audio_chunk","audio_base_64":"{base64}","commit":{end},"sample_rate":{sample_rate}}}'
    ).encode()
