"""The commands of Call Control: a struct for each, with the fields that are used here.

The fields are those of Telnyx's API reference, "Call Control". Empty fields are not sent.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

__all__ = [
    "Answer",
    "BridgeCalls",
    "Command",
    "Dial",
    "Hangup",
    "PlaybackStart",
    "PlaybackStop",
    "RecordPause",
    "RecordResume",
    "RecordStart",
    "RecordStop",
    "Reject",
    "SendDtmf",
    "Speak",
    "StreamRequest",
    "StreamingStart",
    "StreamingStop",
    "Transfer",
]


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of the commands. Their `repr` shows no field but the id: they hold numbers and stream tokens."""

    action: ClassVar[str]
    """The last part of its URL."""

    command_id: str
    """Telnyx does not carry out a command whose id it has seen in the last 60 s."""
    client_state: str = ""
    """base64; sent back in all later webhooks of the call."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.command_id}>"


class StreamRequest(Command, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a stream."""

    stream_url: str = ""
    stream_track: str = ""
    stream_codec: str = ""
    """Of the audio that we receive. Empty: the codec of the leg."""
    stream_bidirectional_mode: str = ""
    """`rtp`. With Telnyx's default, `mp3`, the agent would not be heard."""
    stream_bidirectional_codec: str = ""
    """Of the audio that we send."""
    stream_bidirectional_target_legs: str = ""


class Answer(StreamRequest, frozen=True, kw_only=True, omit_defaults=True):
    """Answers an incoming call, with a stream."""

    action = "answer"
    webhook_url: str = ""
    """The URL of all later webhooks of the call."""


class StreamingStart(StreamRequest, frozen=True, kw_only=True, omit_defaults=True):
    """Starts the stream of an answered call."""

    action = "streaming_start"
    stream_bidirectional_sampling_rate: int = 0


class StreamingStop(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Stops the stream."""

    action = "streaming_stop"


class Dial(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Makes a call."""

    action = ""
    connection_id: str
    to: str
    from_: str = msgspec.field(name="from")
    timeout_secs: int = 0
    answering_machine_detection: str = ""
    webhook_url: str = ""


class Hangup(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Ends the call."""

    action = "hangup"


class Reject(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Rejects an incoming call."""

    action = "reject"
    cause: str
    """CALL_REJECTED, USER_BUSY and others."""


class Transfer(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Calls a number, and connects the call to it when it answers."""

    action = "transfer"
    to: str
    """A number, or a SIP address."""
    target_leg_client_state: str = ""
    """The `client_state` of the new leg."""


class SendDtmf(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Sends keys. `w` waits half a second, `W` a second."""

    action = "send_dtmf"
    digits: str


class Speak(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Speaks a text of at most 3,000 characters with Telnyx's own voice."""

    action = "speak"
    payload: str
    voice: str


class PlaybackStart(Command, frozen=True, kw_only=True):
    """Plays audio in a loop."""

    action = "playback_start"
    audio_url: str
    loop: str = "infinity"


class BridgeCalls(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Connects the call with another one. Without `park_after_unbridge`, each is hung up when the other one ends."""

    action = "bridge"
    call_control_id: str
    """The other call."""


class PlaybackStop(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Stops the audio."""

    action = "playback_stop"


class RecordStart(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Records the call."""

    action = "record_start"
    format: str
    channels: str


class RecordPause(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Pauses the recording."""

    action = "record_pause"


class RecordResume(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Resumes the recording."""

    action = "record_resume"


class RecordStop(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Ends the recording."""

    action = "record_stop"
