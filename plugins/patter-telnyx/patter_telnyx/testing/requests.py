"""What Telnyx takes as commands, seen from its side: each field that is used, and no other.

Separate from `patter_telnyx.commands` on purpose: a field that Telnyx does not know for a command is refused here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ACTIONS", "CommandBody", "DialBody", "Refusal", "StreamBody", "read_body"]

Legs = Literal["self", "opposite", "both"]
CodecName = Literal["PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16"]


class Refusal(Exception):
    """The API does not do it."""

    def __init__(self, status: int, code: str, title: str) -> None:
        self.status = status
        self.code = code
        self.title = title
        super().__init__(title)


class CommandBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each command may say."""

    command_id: str = ""
    client_state: str = ""


class StreamBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How audio is to be brought."""

    stream_url: str = ""
    stream_track: Literal["inbound_track", "outbound_track", "both_tracks"] = "inbound_track"
    stream_codec: CodecName | Literal["default"] = "default"
    stream_bidirectional_mode: Literal["mp3", "rtp"] = "mp3"
    stream_bidirectional_codec: CodecName = "PCMU"
    stream_bidirectional_target_legs: Legs = "opposite"


class AnswerBody(StreamBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    webhook_url: str = ""


class StreamingStartBody(StreamBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    stream_bidirectional_sampling_rate: Literal[8000, 16000, 22050, 24000, 48000] = 8000
    stream_auth_token: str = ""


class DialBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call to be placed."""

    connection_id: str
    to: str
    from_: str = msgspec.field(name="from")
    timeout_secs: int = 30
    time_limit_secs: int = 14_400
    answering_machine_detection: Literal[
        "premium", "detect", "detect_beep", "detect_words", "greeting_end", "disabled"
    ] = "disabled"
    webhook_url: str = ""


class RejectBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cause: Literal["CALL_REJECTED", "NOT_FOUND", "TEMPORARILY_UNAVAILABLE", "USER_BUSY"]


class TransferBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    to: str
    from_: str = msgspec.field(name="from", default="")
    target_leg_client_state: str = ""


class SendDtmfBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digits: str
    duration_millis: int = 250


class SpeakBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payload: str
    voice: str


class PlaybackBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    audio_url: str
    loop: str = "1"


class BridgeBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    call_control_id: str
    park_after_unbridge: Literal["self", ""] = ""


class RecordBody(CommandBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["wav", "mp3"]
    channels: Literal["single", "dual"]


ACTIONS: dict[str, type[CommandBody]] = {
    "answer": AnswerBody,
    "reject": RejectBody,
    "hangup": CommandBody,
    "streaming_start": StreamingStartBody,
    "streaming_stop": CommandBody,
    "transfer": TransferBody,
    "send_dtmf": SendDtmfBody,
    "speak": SpeakBody,
    "playback_start": PlaybackBody,
    "playback_stop": CommandBody,
    "bridge": BridgeBody,
    "record_start": RecordBody,
    "record_pause": CommandBody,
    "record_resume": CommandBody,
    "record_stop": CommandBody,
}


def read_body(action: str, body: bytes) -> CommandBody:
    """The body of a command; `dial` is one too.

    Raises:
        msgspec.ValidationError: Telnyx would not take it.
    """
    return msgspec.json.decode(body or b"{}", type=DialBody if action == "dial" else ACTIONS[action])
