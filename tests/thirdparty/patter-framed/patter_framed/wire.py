"""Framed's messages. Audio is binary, both ways: 20 ms of 16-bit PCM at 16 kHz. All else is JSON text. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patter_core.audio import PCM16_16000, AudioChunk
from patter_core.media import MediaEvent, MediaFault, MediaMark, MediaOpened, MediaOutput, MediaReply, Message
from patter_core.net.json_media import Faults, JsonMediaCodec, JsonMessages

__all__ = ["FORMAT", "FRAME_BYTES", "SUBPROTOCOL", "Answer", "Command", "FramedCodec", "Report", "Ring"]

SUBPROTOCOL = "v2.audio.framed.example"
FORMAT = PCM16_16000
FRAME_BYTES = FORMAT.size(20)
_WRONG_LENGTH = (MediaFault("audio of another length than 20 ms"),)


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """The voice webhook: a call comes in."""

    call_id: str
    from_number: str = ""
    to_number: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to the webhook: where to bring the call's audio, or why the call is rejected."""

    socket: str = ""
    reject: str = ""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text message of Framed's."""

    event: str
    """`start` (the call's id), `notify` (a name), `dtmf` (a key), `ping` (a number), `cleared`, `stop`."""
    value: str = ""


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text message of ours."""

    action: str
    """`notify`, which comes back once all audio before it was played, and never after a `clear`; `clear`; `pong`;
    `dtmf`; `hangup`."""
    value: str = ""


_REPORTS = JsonMessages(msgspec.json.Decoder(Report), longest=1_024)


class FramedCodec(JsonMediaCodec[Report]):
    """One media socket."""

    def __init__(self, *, has_notify: bool) -> None:
        super().__init__(_REPORTS)
        self._has_notify = has_notify

    @property
    def output(self) -> MediaOutput:
        return MediaOutput(format=FORMAT, frame_ms=20, max_buffered=20)

    def decode(self, message: Message) -> Sequence[MediaEvent]:
        if isinstance(message, str):
            return super().decode(message)
        if self._format is None:
            return self.misplaced()
        return (AudioChunk(message, FORMAT),) if len(message) == FRAME_BYTES else _WRONG_LENGTH

    def take(self, message: Report) -> Sequence[MediaEvent]:
        match message.event:
            case "start" if message.value:
                return self.open_stream("", MediaOpened(call_id=message.value, format=FORMAT))
            case "start":
                return Faults.NOT_AS_DOCUMENTED
            case "ping":
                return (MediaReply((_text(Command("pong", message.value)),)),)
            case "notify" | "dtmf" | "stop" if self._format is None:
                return self.misplaced()
            case "notify":
                return (MediaMark(message.value),)
            case "dtmf":
                return self.key(message.value)
            case "stop":
                return self.close_stream()
            case _:
                return ()

    def encode_audio(self, chunk: AudioChunk) -> Message:
        return chunk.data

    def encode_mark(self, name: str) -> Sequence[Message]:
        return (_text(Command("notify", name)),) if self._has_notify else ()

    def encode_clear(self) -> Sequence[Message]:
        return (_text(Command("clear")),)

    def encode_dtmf(self, digits: str) -> Sequence[Message]:
        return (_text(Command("dtmf", digits)),)

    def encode_hang_up(self) -> Sequence[Message]:
        return (_text(Command("hangup")),)


def _text(command: Command) -> str:
    return msgspec.json.encode(command).decode()
