"""What Telnyx can be told to do with a call: one struct for each command, with the fields that are used here.

The fields are those of Telnyx's API reference, "Call Control". A field that is empty is not sent, so that only what
somebody wanted is ever said.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

__all__ = [
    "Answer",
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
    """The base of all commands. Their `repr` shows no field: there are numbers and stream tokens among them."""

    action: ClassVar[str]
    """The last part of its URL."""

    command_id: str
    """A command that comes again under the same id within 60 s is not carried out again."""
    client_state: str = ""
    """base64; comes back in all later webhooks of the call."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.command_id}>"


class StreamRequest(Command, frozen=True, kw_only=True, omit_defaults=True):
    """How the audio is to be brought. What has no default here has one there that would not do."""

    stream_url: str = ""
    stream_track: str = ""
    stream_codec: str = ""
    """What we get. Empty: what the leg speaks."""
    stream_bidirectional_mode: str = ""
    """`rtp`, or the agent is silent: there it is `mp3` by default."""
    stream_bidirectional_codec: str = ""
    """What we send."""
    stream_bidirectional_target_legs: str = ""


class Answer(StreamRequest, frozen=True, kw_only=True, omit_defaults=True):
    """Answer an incoming call, with a stream."""

    action = "answer"
    webhook_url: str = ""
    """Where all later webhooks of the call go."""


class StreamingStart(StreamRequest, frozen=True, kw_only=True, omit_defaults=True):
    """Bring the audio of a call that has been answered."""

    action = "streaming_start"
    stream_bidirectional_sampling_rate: int = 0


class StreamingStop(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Bring no more audio."""

    action = "streaming_stop"


class Dial(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Place a call."""

    action = ""
    connection_id: str
    to: str
    from_: str = msgspec.field(name="from")
    timeout_secs: int = 0
    time_limit_secs: int = 0
    answering_machine_detection: str = ""
    webhook_url: str = ""


class Hangup(Command, frozen=True, kw_only=True, omit_defaults=True):
    """End the call."""

    action = "hangup"


class Reject(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Do not take an incoming call."""

    action = "reject"
    cause: str
    """CALL_REJECTED, USER_BUSY and others."""


class Transfer(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Call somebody else, and join the two when he answers."""

    action = "transfer"
    to: str
    """A number, or a SIP address."""
    target_leg_client_state: str = ""
    """`client_state` of the new leg."""


class SendDtmf(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Press keys. `w` waits half a second, `W` a whole one."""

    action = "send_dtmf"
    digits: str
    duration_millis: int = 0


class Speak(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Say a text, at most 3,000 characters, with the carrier's own voice."""

    action = "speak"
    payload: str
    voice: str


class PlaybackStart(Command, frozen=True, kw_only=True):
    """Play something, again and again."""

    action = "playback_start"
    audio_url: str
    loop: str = "infinity"


class PlaybackStop(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Play it no more."""

    action = "playback_stop"


class RecordStart(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Record the call."""

    action = "record_start"
    format: str
    channels: str


class RecordPause(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Leave out what comes now."""

    action = "record_pause"


class RecordResume(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Record again."""

    action = "record_resume"


class RecordStop(Command, frozen=True, kw_only=True, omit_defaults=True):
    """The recording is complete."""

    action = "record_stop"
