"""Messages from the service, sans-IO. Source: the types of the vendor's SDK.

Decoding is lenient, since the service adds message types and fields at any time, and since no message may end a call:
`Decoder.decode` never raises.
"""

from __future__ import annotations

from typing import get_args

import msgspec
from msgspec import UNSET, UnsetType

from patter_openai.wire.decoding import MessageDecoder
from patter_openai.wire.items import Content, Item
from patter_openai.wire.response import Response, ServiceError, TranscriptionUsage

__all__ = [
    "IGNORED_TYPES",
    "ArgumentsDelta",
    "ArgumentsDone",
    "AudioDelta",
    "AudioDone",
    "BufferCleared",
    "Committed",
    "ContentPartAdded",
    "ContentPartDone",
    "ConversationCreated",
    "ConversationInfo",
    "Decoder",
    "Error",
    "ItemAdded",
    "ItemDeleted",
    "ItemDone",
    "ItemTruncated",
    "OutputItemAdded",
    "OutputItemDone",
    "RateLimit",
    "RateLimits",
    "ResponseCreated",
    "ResponseDone",
    "ServerMessage",
    "SessionCreated",
    "SessionInfo",
    "SessionUpdated",
    "SpeechStarted",
    "SpeechStopped",
    "TranscriptDelta",
    "TranscriptDone",
    "TranscriptionCompleted",
    "TranscriptionFailed",
]


class _Server(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    """A message of the service."""

    event_id: str = ""


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The session, with its configuration as the service wrote it."""

    id: str = ""
    object: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    model: str | UnsetType | None = UNSET
    expires_at: int | UnsetType | None = UNSET
    """Unix time, in s."""
    instructions: str | UnsetType = UNSET
    audio: msgspec.Raw | UnsetType = UNSET
    tools: msgspec.Raw | UnsetType = UNSET


class SessionCreated(_Server, frozen=True, kw_only=True, tag="session.created"):
    session: SessionInfo


class SessionUpdated(_Server, frozen=True, kw_only=True, tag="session.updated"):
    session: SessionInfo


class ConversationInfo(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    object: str | UnsetType = UNSET


class ConversationCreated(_Server, frozen=True, kw_only=True, tag="conversation.created"):
    conversation: ConversationInfo


class SpeechStarted(_Server, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"):
    item_id: str = ""
    """Of the message that will be made of it."""
    audio_start_ms: int = 0
    """In all audio that was ever appended; the prefix padding is before the speech."""


class SpeechStopped(_Server, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"):
    item_id: str = ""
    audio_end_ms: int = 0


class Committed(_Server, frozen=True, kw_only=True, tag="input_audio_buffer.committed"):
    item_id: str = ""
    previous_item_id: str | None = None


class BufferCleared(_Server, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"):
    pass


class ItemAdded(_Server, frozen=True, kw_only=True, tag="conversation.item.added"):
    item: Item
    previous_item_id: str | None = None


class ItemDone(_Server, frozen=True, kw_only=True, tag="conversation.item.done"):
    item: Item
    previous_item_id: str | None = None


class ItemTruncated(_Server, frozen=True, kw_only=True, tag="conversation.item.truncated"):
    item_id: str = ""
    content_index: int = 0
    audio_end_ms: int = 0


class ItemDeleted(_Server, frozen=True, kw_only=True, tag="conversation.item.deleted"):
    item_id: str = ""


class TranscriptionCompleted(
    _Server, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.completed"
):
    """What the user said, as a second model heard it: it may come after the response."""

    item_id: str = ""
    content_index: int = 0
    transcript: str = ""
    usage: TranscriptionUsage | None = None


class TranscriptionFailed(_Server, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str = ""
    content_index: int = 0
    error: ServiceError = ServiceError()


class ResponseCreated(_Server, frozen=True, kw_only=True, tag="response.created"):
    response: Response


class ResponseDone(_Server, frozen=True, kw_only=True, tag="response.done"):
    response: Response


class _OfResponse(_Server, frozen=True, kw_only=True):
    response_id: str = ""
    output_index: int = 0


class OutputItemAdded(_OfResponse, frozen=True, kw_only=True, tag="response.output_item.added"):
    item: Item


class OutputItemDone(_OfResponse, frozen=True, kw_only=True, tag="response.output_item.done"):
    item: Item


class _OfItem(_OfResponse, frozen=True, kw_only=True):
    item_id: str = ""


class _OfContent(_OfItem, frozen=True, kw_only=True):
    content_index: int = 0


class ContentPartAdded(_OfContent, frozen=True, kw_only=True, tag="response.content_part.added"):
    part: Content


class ContentPartDone(_OfContent, frozen=True, kw_only=True, tag="response.content_part.done"):
    part: Content


class AudioDelta(_OfContent, frozen=True, kw_only=True, tag="response.output_audio.delta"):
    delta: str


class AudioDone(_OfContent, frozen=True, kw_only=True, tag="response.output_audio.done"):
    pass


class TranscriptDelta(_OfContent, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"):
    delta: str = ""


class TranscriptDone(_OfContent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"):
    transcript: str = ""


class ArgumentsDelta(_OfItem, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"):
    call_id: str = ""
    delta: str = ""


class ArgumentsDone(_OfItem, frozen=True, kw_only=True, tag="response.function_call_arguments.done"):
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    name: str | None = None
    """`requests` or `tokens`."""
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class RateLimits(_Server, frozen=True, kw_only=True, tag="rate_limits.updated"):
    rate_limits: tuple[RateLimit, ...] = ()


class Error(_Server, frozen=True, kw_only=True, tag="error"):
    """An error. The session goes on after most of them."""

    error: ServiceError = ServiceError()


ServerMessage = (
    ArgumentsDelta
    | ArgumentsDone
    | AudioDelta
    | AudioDone
    | BufferCleared
    | Committed
    | ContentPartAdded
    | ContentPartDone
    | ConversationCreated
    | Error
    | ItemAdded
    | ItemDeleted
    | ItemDone
    | ItemTruncated
    | OutputItemAdded
    | OutputItemDone
    | RateLimits
    | ResponseCreated
    | ResponseDone
    | SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | TranscriptDelta
    | TranscriptDone
    | TranscriptionCompleted
    | TranscriptionFailed
)

IGNORED_TYPES = frozenset(
    {
        "conversation.item.created",  # an older name of conversation.item.added
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.retrieved",
        "input_audio_buffer.dtmf_event_received",
        "input_audio_buffer.timeout_triggered",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "mcp_list_tools.in_progress",
        "output_audio_buffer.cleared",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.output_text.delta",
        "response.output_text.done",
    }
)
"""Types that are known and not used."""

_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(ServerMessage))


def _error(text: str) -> Error:
    return Error(error=ServiceError(message=text))


class Decoder(MessageDecoder[ServerMessage]):
    """Decodes the messages of one session, and counts their anomalies."""

    def __init__(self) -> None:
        super().__init__(_decoder, _TYPES, IGNORED_TYPES, _error)
