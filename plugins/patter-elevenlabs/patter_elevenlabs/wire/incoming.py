"""Messages from the service, sans-IO. Sources: the vendor's published schemas and the code of its SDKs.

Decoding is lenient, since the service adds message types and fields at any time, and since no message may end a call:
`Decoder.decode` never raises.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, get_args

import msgspec

from patter_elevenlabs.wire.anomaly import Anomaly

__all__ = [
    "IGNORED_TYPES",
    "AgentResponse",
    "AgentResponseEvent",
    "Audio",
    "AudioEvent",
    "ClientError",
    "Correction",
    "CorrectionEvent",
    "Decoder",
    "Error",
    "ErrorEvent",
    "EventId",
    "Ignored",
    "Interruption",
    "Metadata",
    "MetadataEvent",
    "Numbered",
    "Ping",
    "PingEvent",
    "ServerMessage",
    "ToolCall",
    "ToolCallEvent",
    "UserTranscript",
    "UserTranscriptEvent",
]

EventId = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | str | None
"""As received: a number, sometimes a string of digits or nothing. Pongs return it unchanged."""


class Numbered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    event_id: EventId = None


class _Server(msgspec.Struct, frozen=True, tag_field="type", gc=False):
    """A message of the service. Its content is in `event`; the service names that field after the type."""


class MetadataEvent(msgspec.Struct, frozen=True, kw_only=True):
    conversation_id: str = ""
    agent_output_audio_format: str = "pcm_16000"
    user_input_audio_format: str = "pcm_16000"


class Metadata(_Server, frozen=True, tag="conversation_initiation_metadata"):
    """The conversation is ready for audio, in these formats."""

    event: MetadataEvent = msgspec.field(name="conversation_initiation_metadata_event")


class PingEvent(Numbered, frozen=True, omit_defaults=False):
    ping_ms: float | None = None
    """A latency that the service measured; not a requested delay."""


class Ping(_Server, frozen=True, tag="ping"):
    event: PingEvent = msgspec.field(name="ping_event")


class AudioEvent(Numbered, frozen=True):
    base64: str = msgspec.field(name="audio_base_64")


class Audio(_Server, frozen=True, tag="audio"):
    """Agent audio. The alignment that may come with it is not decoded."""

    event: AudioEvent = msgspec.field(name="audio_event")


class Interruption(_Server, frozen=True, tag="interruption"):
    event: Numbered = msgspec.field(name="interruption_event")


class UserTranscriptEvent(Numbered, frozen=True):
    text: str = msgspec.field(name="user_transcript")


class UserTranscript(_Server, frozen=True, tag="user_transcript"):
    event: UserTranscriptEvent = msgspec.field(name="user_transcription_event")


class AgentResponseEvent(Numbered, frozen=True):
    text: str = msgspec.field(name="agent_response")


class AgentResponse(_Server, frozen=True, tag="agent_response"):
    """The full text of a turn, with its first audio."""

    event: AgentResponseEvent = msgspec.field(name="agent_response_event")


class CorrectionEvent(Numbered, frozen=True):
    text: str = msgspec.field(name="corrected_agent_response")
    original: str = msgspec.field(name="original_agent_response", default="")


class Correction(_Server, frozen=True, tag="agent_response_correction"):
    """The part of an interrupted turn that was said."""

    event: CorrectionEvent = msgspec.field(name="agent_response_correction_event")


class ToolCallEvent(Numbered, frozen=True):
    tool_name: str
    tool_call_id: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    """JSON, to be decoded by the tool."""
    expects_response: bool | None = True
    """None, sent as null, counts as True: an agent that may be waiting is answered."""


class ToolCall(_Server, frozen=True, tag="client_tool_call"):
    event: ToolCallEvent = msgspec.field(name="client_tool_call")


class ErrorEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    code: int | float | str | None = None
    message: str | None = None
    reason: str | None = None
    error_type: str | None = None
    error_name: str | None = None


class Error(_Server, frozen=True, kw_only=True, omit_defaults=True, tag="error"):
    """An error, in each of its known shapes: under `error_event`, under `client_error_event`, or flat."""

    error_event: ErrorEvent | str | None = None
    client_error_event: ErrorEvent | str | None = None
    code: int | float | str | None = None
    message: str | None = None
    reason: str | None = None
    error_type: str | None = None
    error_name: str | None = None

    @property
    def details(self) -> ErrorEvent:
        """The error, from any of the shapes."""
        event = self.error_event or self.client_error_event
        if isinstance(event, ErrorEvent):
            return event
        return ErrorEvent(
            code=self.code,
            message=event or self.message,
            reason=self.reason,
            error_type=self.error_type,
            error_name=self.error_name,
        )

    @property
    def text(self) -> str:
        """The most readable text of the error."""
        details = self.details
        return (
            details.message
            or details.reason
            or details.error_type
            or details.error_name
            or "The service reports an unnamed error."
        )

    @property
    def label(self) -> str:
        """The code as text; "" if it has none."""
        code = self.details.code
        if isinstance(code, float) and code.is_integer():
            code = int(code)  # JSON has one kind of number
        return "" if code is None else str(code)


class ClientError(Error, frozen=True, tag="client_error"):
    """An error under another name."""


class Ignored(msgspec.Struct, frozen=True):
    """A message that is not used."""

    type: str
    """The type; "" if there was none."""


IGNORED_TYPES = frozenset(
    {
        "agent_chat_response_part",
        "agent_response_complete",  # sometimes late: the silence timer decides
        "agent_tool_request",
        "agent_response_metadata",
        "agent_tool_response",
        "agent_tool_response_full_payload",
        "agent_typing",
        "asr_initiation_metadata",
        "context_usage",
        "dtmf_request",
        "guardrail_triggered",
        "mcp_connection_status",
        "mcp_tool_call",
        "queue_status",
        "tentative_user_transcript",
        "vad_score",
    }
)
"""Types that are known and not used, besides those that start with `internal_`."""

ServerMessage = (
    AgentResponse
    | Audio
    | ClientError
    | Correction
    | Error
    | Interruption
    | Metadata
    | Ping
    | ToolCall
    | UserTranscript
)


_QUOTED = 500
"""Characters that are quoted of an error in an unknown shape."""
_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(ServerMessage))


class _Probe(msgspec.Struct):
    type: str = ""


_ERRORS = frozenset(str(kind.__struct_config__.tag) for kind in (Error, ClientError))


_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_decode = _decoder.decode
_probe = msgspec.json.Decoder(_Probe).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class Decoder:
    """Decodes messages, and counts their anomalies."""

    def __init__(self) -> None:
        self.anomalies: Counter[Anomaly] = Counter()

    def decode(self, message: bytes | str) -> ServerMessage | Ignored:
        """Decodes one message. Never raises: an unknown or malformed one is `Ignored`, and counted.

        An error in an unknown shape is still an `Error`, with the message as its text.
        """
        try:
            return _decode(message)
        except _UNREADABLE:
            ignored = self._ignored(message)
        if ignored.type not in _ERRORS:
            return ignored
        text = message if isinstance(message, str) else message.decode(errors="replace")
        return Error(message=text[:_QUOTED])

    def number(self, event_id: EventId) -> int | None:
        """Returns an id as a number, for comparisons; None if it is missing or is not a number."""
        if type(event_id) is int:
            return event_id
        if event_id is None:
            self.anomalies[Anomaly.MISSING_ID] += 1
            return None
        self.anomalies[Anomaly.STRING_ID] += 1
        try:
            return int(event_id)
        except ValueError:
            return None

    def _ignored(self, message: bytes | str) -> Ignored:
        try:
            found = _probe(message).type
        except _UNREADABLE:
            self.anomalies[Anomaly.MALFORMED] += 1
            return Ignored("")
        if found in _TYPES:
            self.anomalies[Anomaly.MALFORMED] += 1  # a known type in an unknown shape
        elif found not in IGNORED_TYPES and not found.startswith("internal_"):
            self.anomalies[Anomaly.UNKNOWN_TYPE] += 1
        return Ignored(found)
