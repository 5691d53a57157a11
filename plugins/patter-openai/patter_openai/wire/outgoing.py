"""Messages to the service, sans-IO. Source: the types of the vendor's SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from patter_openai.wire.config import FunctionTool, SessionConfig
from patter_openai.wire.items import Item

__all__ = [
    "AudioAppend",
    "BufferClear",
    "BufferCommit",
    "ClientMessage",
    "ItemCreate",
    "ItemDelete",
    "ItemTruncate",
    "ResponseCancel",
    "ResponseCreate",
    "ResponseParameters",
    "SessionUpdate",
    "encode",
    "encode_audio",
]


class _Client(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """A message to the service."""

    event_id: str | UnsetType = UNSET
    """An error that the message causes names it."""


class SessionUpdate(_Client, frozen=True, kw_only=True, tag="session.update"):
    session: SessionConfig


class AudioAppend(_Client, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """Caller audio; written by `encode_audio`."""

    audio: str


class BufferCommit(_Client, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """The user's turn is over; only without turn detection."""


class BufferClear(_Client, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """The audio that was not committed is void."""


class ItemCreate(_Client, frozen=True, kw_only=True, tag="conversation.item.create"):
    item: Item
    previous_item_id: str | UnsetType = UNSET


class ItemTruncate(_Client, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    """The user heard that much of an item of the agent: its transcript is deleted."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDelete(_Client, frozen=True, kw_only=True, tag="conversation.item.delete"):
    item_id: str


class ResponseParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What differs from the session's configuration, for one response."""

    instructions: str | UnsetType = UNSET
    tool_choice: str | UnsetType = UNSET
    tools: tuple[FunctionTool, ...] | UnsetType = UNSET
    metadata: Mapping[str, str] | UnsetType = UNSET
    output_modalities: tuple[Literal["audio", "text"], ...] | UnsetType = UNSET
    max_output_tokens: int | Literal["inf"] | UnsetType = UNSET


class ResponseCreate(_Client, frozen=True, kw_only=True, tag="response.create"):
    response: ResponseParameters | UnsetType = UNSET


class ResponseCancel(_Client, frozen=True, kw_only=True, tag="response.cancel"):
    response_id: str | UnsetType = UNSET


ClientMessage = (
    AudioAppend
    | BufferClear
    | BufferCommit
    | ItemCreate
    | ItemDelete
    | ItemTruncate
    | ResponseCancel
    | ResponseCreate
    | SessionUpdate
)

_encoder = msgspec.json.Encoder()


def encode(message: ClientMessage) -> bytes:
    """Encodes a message other than audio."""
    return _encoder.encode(message)


def encode_audio(base64: str) -> bytes:
    """Encodes caller audio, spliced: checked base64 needs no escaping. Called fifty times a second."""
    return b'{"type":"input_audio_buffer.append","audio":"' + base64.encode() + b'"}'
