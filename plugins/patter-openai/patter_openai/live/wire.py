"""The messages of a Live session, in both directions, sans-IO. Source: the types of the vendor's SDK."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType

from patter_core.audio import ALAW_8000, ULAW_8000, AudioFormat
from patter_openai.formats import PCM16_24000
from patter_openai.wire import FunctionTool, Item, MessageDecoder, ServiceError, VoiceId

__all__ = [
    "AudioAppend",
    "AudioSettings",
    "Close",
    "Closed",
    "Commentary",
    "Decoder",
    "Delegation",
    "DelegationCreated",
    "DelegationInfo",
    "Error",
    "InputTranscript",
    "ItemCreate",
    "LiveClient",
    "LiveConfig",
    "LiveServer",
    "OutputAudio",
    "OutputTranscript",
    "ResponseCreate",
    "ResponseEvent",
    "ResponsesConfig",
    "Seconds",
    "SessionInfo",
    "Start",
    "Started",
    "StreamEvent",
    "Thinking",
    "Usage",
    "Voice",
    "audio_format",
    "encode",
    "encode_audio",
    "wire_format",
]


class _Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the configuration; the service refuses fields that it does not know."""


class _Pcm(_Config, frozen=True, kw_only=True, tag_field="type", tag="audio/pcm"):
    rate: Literal[16000, 24000] = 24000


class _Ulaw(_Config, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    rate: Literal[8000] = 8000


class _Alaw(_Config, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    rate: Literal[8000] = 8000


_Format = _Pcm | _Ulaw | _Alaw


class Voice(_Config, frozen=True, kw_only=True):
    voice: str | VoiceId


class AudioSettings(_Config, frozen=True, kw_only=True):
    format: _Format
    """Of both directions; it cannot be changed."""
    output: Voice | UnsetType = UNSET


class ResponsesConfig(_Config, frozen=True, kw_only=True):
    model: str
    instructions: str | UnsetType = UNSET
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: str = "auto"


class Delegation(_Config, frozen=True, kw_only=True, tag_field="type", tag="responses"):
    """Another model, which calls functions, thinks in the background."""

    responses: ResponsesConfig


class LiveConfig(_Config, frozen=True, kw_only=True):
    model: str
    audio: AudioSettings
    instructions: str | UnsetType = UNSET
    delegation: Delegation | None = None
    input: tuple[Item, ...] | UnsetType = UNSET
    """What was said before."""
    store: bool = False


# --- to the service --------------------------------------------------------------------------------------------------


class _Client(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    event_id: str | UnsetType = UNSET


class Start(_Client, frozen=True, kw_only=True, tag="session.start"):
    """The first message."""

    session: LiveConfig


class AudioAppend(_Client, frozen=True, kw_only=True, tag="session.input_audio.append"):
    """Caller audio; written by `encode_audio`."""

    audio: str


class Commentary(_Client, frozen=True, kw_only=True, tag="session.commentary.append"):
    """The agent says this, in its own words."""

    content: str
    delegation_id: str | None = None


class Thinking(_Client, frozen=True, kw_only=True, tag="session.thinking.append"):
    """The agent knows this, and does not say it."""

    content: str
    delegation_id: str | None = None


class ItemCreate(_Client, frozen=True, kw_only=True, tag="response.item.create"):
    item: Item


class ResponseCreate(_Client, frozen=True, kw_only=True, tag="response.create"):
    """The delegated response goes on."""


class Close(_Client, frozen=True, kw_only=True, tag="session.close"):
    pass


LiveClient = AudioAppend | Close | Commentary | ItemCreate | ResponseCreate | Start | Thinking


# --- from the service ------------------------------------------------------------------------------------------------


class _Server(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    event_id: str = ""


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    expires_at: int | None = None
    """Unix time, in s."""
    model: str = ""
    status: str = ""


class Started(_Server, frozen=True, kw_only=True, tag="session.started"):
    session: SessionInfo


class OutputAudio(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session.output_audio.delta", gc=False
):
    """Agent audio, at the pace of real time, silence included."""

    delta: str


class _Transcript(_Server, frozen=True, kw_only=True):
    delta: str = ""
    """With its own blanks."""
    start_ms: int = 0
    end_ms: int = 0


class InputTranscript(_Transcript, frozen=True, kw_only=True, tag="session.input_transcript.delta"):
    pass


class OutputTranscript(_Transcript, frozen=True, kw_only=True, tag="session.output_transcript.delta"):
    pass


class DelegationInfo(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    target: str = ""
    """`client`, `responses` or `decisions`."""


class DelegationCreated(_Server, frozen=True, kw_only=True, tag="session.delegation.created"):
    """The model hands a task on; nothing says which."""

    delegation: DelegationInfo


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the delegated response."""

    type: str = ""
    item: Item | UnsetType = UNSET
    response: _Response | UnsetType = UNSET


class ResponseEvent(_Server, frozen=True, kw_only=True, tag="response.event"):
    event: StreamEvent
    delegation_id: str | None = None


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    seconds: float = 0.0
    """Of the session so far."""


class Usage(_Server, frozen=True, kw_only=True, tag="session.usage.updated"):
    usage: Seconds


class Closed(_Server, frozen=True, kw_only=True, tag="session.closed"):
    reason: str = ""
    usage: Seconds = Seconds()
    session: SessionInfo | UnsetType = UNSET


class Error(_Server, frozen=True, kw_only=True, tag="error"):
    error: ServiceError = ServiceError()


LiveServer = (
    Closed
    | DelegationCreated
    | Error
    | InputTranscript
    | OutputAudio
    | OutputTranscript
    | ResponseEvent
    | Started
    | Usage
)

_IGNORED = frozenset(
    {
        "decision.event",
        "decision.item.created",
        "decision.item.deleted",
        "info",
        "session.commentary.appended",
        "session.input_audio.append",
        "session.input_audio.muted",
        "session.input_audio.unmuted",
        "session.instructions.appended",
        "session.output_audio.fixture.played",
        "session.output_audio.fixture.playing",
        "session.paused",
        "session.resumed",
        "session.thinking.appended",
        "session.updated",
        "transport.answered",
        "transport.dtmf.received",
        "transport.dtmf.send",
        "transport.dtmf.sent",
        "transport.failed",
        "transport.ringing",
    }
)
_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(LiveServer))
_decoder: msgspec.json.Decoder[LiveServer] = msgspec.json.Decoder(LiveServer)


def _error(text: str) -> Error:
    return Error(error=ServiceError(message=text))


class Decoder(MessageDecoder[LiveServer]):
    """Decodes the messages of one session, and counts their anomalies."""

    def __init__(self) -> None:
        super().__init__(_decoder, _TYPES, _IGNORED, _error)


_encoder = msgspec.json.Encoder()


def encode(message: LiveClient) -> bytes:
    """Encodes a message other than audio."""
    return _encoder.encode(message)


def encode_audio(base64: str) -> bytes:
    """Encodes caller audio, spliced: checked base64 needs no escaping. Called fifty times a second."""
    return b'{"type":"session.input_audio.append","audio":"' + base64.encode() + b'"}'


def wire_format(format: AudioFormat) -> _Format:
    """Returns one of the formats of `formats.nearest` as the service writes it."""
    if format == ULAW_8000:
        return _Ulaw()
    return _Alaw() if format == ALAW_8000 else _Pcm()


def audio_format(format: _Format) -> AudioFormat:
    """Returns the format that the service writes so; of PCM the one that the engine uses."""
    match format:
        case _Ulaw():
            return ULAW_8000
        case _Alaw():
            return ALAW_8000
        case _Pcm():
            return PCM16_24000
