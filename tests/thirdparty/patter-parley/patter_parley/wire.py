"""Parley's messages: JSON with a `type`, in the shape of a speech-to-speech model's API. Sans-IO."""

from __future__ import annotations

import msgspec

from patter_core.audio import ALAW_8000, ULAW_8000, AudioFormat, Encoding
from patter_core.net.json import UNREADABLE

__all__ = [
    "FORMATS",
    "Append",
    "AudioDelta",
    "CallOutput",
    "ClientMessage",
    "CreateItem",
    "CreateResponse",
    "DeleteItem",
    "Failure",
    "Function",
    "FunctionCall",
    "ItemAdded",
    "ItemDone",
    "Message",
    "Refused",
    "ResponseCreated",
    "ResponseDone",
    "ServerMessage",
    "SpeechStarted",
    "SpeechStopped",
    "Spoken",
    "Transcribed",
    "TruncateItem",
    "UpdateSession",
    "Updated",
    "encode",
    "read_client",
    "read_server",
]

FORMATS = {"pcm": AudioFormat(Encoding.PCM16, 24_000), "pcmu": ULAW_8000, "pcma": ALAW_8000}


class _Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """The base of all messages."""


class Function(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """A tool."""

    name: str
    description: str
    parameters: dict[str, object]
    """A JSON Schema."""


class Message(_Message, frozen=True, tag="message"):
    """An item: what one side said."""

    role: str
    """`user` or `assistant`."""
    text: str


class FunctionCall(_Message, frozen=True, tag="function_call"):
    """An item: the agent called a tool."""

    call_id: str
    name: str
    arguments: str
    """JSON."""


class CallOutput(_Message, frozen=True, tag="function_call_output"):
    """An item: what came of it. There is no flag for a failure."""

    call_id: str
    output: str


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The output, as JSON, of a tool that failed."""

    error: str


class UpdateSession(_Message, frozen=True, tag="session.update"):
    """The first message."""

    format: str
    instructions: str = ""
    tools: tuple[Function, ...] = ()


class Append(_Message, frozen=True, tag="input_audio_buffer.append"):
    """Caller audio, base64."""

    audio: str


class CreateResponse(_Message, frozen=True, tag="response.create"):
    """The agent is to speak. Before the first one, or the caller's audio, items are what was said earlier."""

    instructions: str = ""


class CreateItem(_Message, frozen=True, tag="conversation.item.create"):
    """Something that was said or done: a text in the user's place, the output of a function."""

    item: Message | FunctionCall | CallOutput


class TruncateItem(_Message, frozen=True, tag="conversation.item.truncate"):
    """No more of this item was heard. Longer than the item: an error."""

    item_id: str
    audio_end_ms: int


class DeleteItem(_Message, frozen=True, tag="conversation.item.delete"):
    """Nothing of this item was heard."""

    item_id: str


class Updated(_Message, frozen=True, tag="session.updated"):
    """The conversation is ready for audio."""

    session_id: str
    format: str


class SpeechStarted(_Message, frozen=True, tag="input_audio_buffer.speech_started"):
    """The caller speaks; a response that is being made ends."""

    audio_start_ms: int


class SpeechStopped(_Message, frozen=True, tag="input_audio_buffer.speech_stopped"):
    """The caller has spoken."""

    audio_end_ms: int


class Transcribed(_Message, frozen=True, tag="conversation.item.input_audio_transcription.completed"):
    """What the caller said."""

    transcript: str


class ResponseCreated(_Message, frozen=True, tag="response.created"):
    """A turn of the agent begins."""

    response_id: str


class ItemAdded(_Message, frozen=True, tag="response.output_item.added"):
    """Something that the agent says in its turn; there may be several."""

    response_id: str
    item_id: str


class ItemDone(_Message, frozen=True, tag="response.output_item.done"):
    """The agent calls a tool."""

    response_id: str
    item: FunctionCall


class AudioDelta(_Message, frozen=True, tag="response.output_audio.delta"):
    """Agent audio, base64."""

    response_id: str
    item_id: str
    delta: str


class Spoken(_Message, frozen=True, tag="response.output_audio_transcript.done"):
    """The text of the item."""

    response_id: str
    item_id: str
    transcript: str


class ResponseDone(_Message, frozen=True, tag="response.done"):
    """The turn is generated, or cancelled."""

    response_id: str
    status: str = "completed"


class Refused(_Message, frozen=True, tag="error"):
    """Something was refused."""

    message: str


ClientMessage = UpdateSession | Append | CreateResponse | CreateItem | TruncateItem | DeleteItem
ServerMessage = (
    Updated
    | SpeechStarted
    | SpeechStopped
    | Transcribed
    | ResponseCreated
    | ItemAdded
    | ItemDone
    | AudioDelta
    | Spoken
    | ResponseDone
    | Refused
)
_CLIENT: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_SERVER: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """Encodes a message."""
    return msgspec.json.encode(message)


def read_server(text: bytes) -> ServerMessage | None:
    """Decodes a message of the service; None if it is malformed or unknown."""
    try:
        return _SERVER.decode(text)
    except UNREADABLE:
        return None


def read_client(text: str) -> ClientMessage:
    """Decodes a message to the service.

    Raises:
        msgspec.DecodeError: it is malformed or unknown.
    """
    return _CLIENT.decode(text)
