"""A response, and what it costs in tokens. Source: the types of the vendor's SDK."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from patter_openai.wire.items import Item

__all__ = [
    "CachedTokens",
    "InputTokens",
    "OutputTokens",
    "Response",
    "ResponseUsage",
    "ServiceError",
    "StatusDetails",
    "TranscriptionUsage",
]


class CachedTokens(msgspec.Struct, frozen=True, kw_only=True):
    text_tokens: int | None = 0
    audio_tokens: int | None = 0


class InputTokens(msgspec.Struct, frozen=True, kw_only=True):
    text_tokens: int | None = 0
    audio_tokens: int | None = 0
    cached_tokens: int | None = 0
    """They are among the others."""
    cached_tokens_details: CachedTokens | None = None


class OutputTokens(msgspec.Struct, frozen=True, kw_only=True):
    text_tokens: int | None = 0
    audio_tokens: int | None = 0


class ResponseUsage(msgspec.Struct, frozen=True, kw_only=True):
    total_tokens: int | None = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    input_token_details: InputTokens | None = None
    output_token_details: OutputTokens | None = None


class TranscriptionUsage(msgspec.Struct, frozen=True, kw_only=True):
    """By tokens, or by the length of the audio."""

    type: str = ""
    seconds: float | UnsetType = UNSET
    input_tokens: int | UnsetType = UNSET
    output_tokens: int | UnsetType = UNSET
    total_tokens: int | UnsetType = UNSET


class ServiceError(msgspec.Struct, frozen=True, kw_only=True):
    type: str = ""
    code: str | None = None
    message: str = ""
    param: str | UnsetType | None = UNSET
    event_id: str | UnsetType | None = UNSET
    """Of the client's message that caused it."""

    @property
    def label(self) -> str:
        """The code, or else the type."""
        return self.code or self.type


class StatusDetails(msgspec.Struct, frozen=True, kw_only=True):
    type: str | UnsetType = UNSET
    reason: str | UnsetType | None = UNSET
    """`turn_detected`, `client_cancelled`, `max_output_tokens` or `content_filter`."""
    error: ServiceError | UnsetType | None = UNSET


class Response(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    object: str | UnsetType = UNSET
    status: str = ""
    """`in_progress`, `completed`, `cancelled`, `failed` or `incomplete`."""
    status_details: StatusDetails | None = None
    output: tuple[Item, ...] = ()
    conversation_id: str | UnsetType | None = UNSET
    metadata: dict[str, str] | None = None
    usage: ResponseUsage | None = None

    @property
    def reason(self) -> str:
        """Why it was cancelled or is incomplete; "" if nothing says so."""
        reason = self.status_details.reason if self.status_details else None
        return reason if isinstance(reason, str) else ""

    @property
    def error(self) -> ServiceError | None:
        """Why it failed."""
        error = self.status_details.error if self.status_details else None
        return error if isinstance(error, ServiceError) else None
