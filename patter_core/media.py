"""The media contract: a sans-IO codec for one media socket, what it takes, and what it reads there.

The core owns the socket and all time. It cuts agent audio as `MediaOutput` says, sends no more than the carrier keeps,
and has a mark set behind each half second and each turn. A codec translates single messages and keeps no audio.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import msgspec

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.transport import Message

__all__ = [
    "MediaCodec",
    "MediaDtmf",
    "MediaEvent",
    "MediaFault",
    "MediaMark",
    "MediaOpened",
    "MediaOutput",
    "MediaReply",
    "MediaStopped",
    "MediaUnusable",
    "Message",
]


class MediaOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What a media socket takes of agent audio."""

    format: AudioFormat
    frame_ms: float = 0.0
    """Each message is exactly that long; 0 for any length. A message may be shorter only by whole samples: 20 ms at
    11,025 Hz are 220 samples."""
    shortest_ms: float = 0.0
    """A message is at least that long; 0 for no limit."""
    longest_ms: float = 0.0
    """A message is at most that long; 0 for no limit."""
    max_buffered: float = math.inf
    """Seconds of audio that may wait at the carrier, well below what it drops or refuses. The core keeps the rest, and
    sends no message that is longer than a quarter of it, or than 1 s, unless `frame_ms` or `shortest_ms` says so."""


class MediaOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The media stream started."""

    call_id: str
    """The carrier's id of the call: it must be the one in the stream token."""
    format: AudioFormat
    """Of the caller's audio."""
    parameters: dict[str, str] = {}


class MediaMark(msgspec.Struct, frozen=True):
    """A mark came back: the audio sent before it was played, or cleared.

    A mark from before a clear is ignored, so it does not matter whether the carrier returns those.
    """

    name: str


class MediaDtmf(msgspec.Struct, frozen=True):
    """A key was pressed: one of 0-9, *, #, A-D."""

    digit: str


class MediaReply(msgspec.Struct, frozen=True):
    """What the protocol has us answer, for example to a ping: sent at once, ahead of audio."""

    messages: tuple[Message, ...]


class MediaStopped(msgspec.Struct, frozen=True):
    """The carrier ended the stream."""

    reason: str = ""


class MediaFault(msgspec.Struct, frozen=True):
    """An invalid message: counted, reported once a call for each `problem`, and ignored."""

    problem: str
    """Short, one of a fixed set, and free of the message's content."""


class MediaUnusable(msgspec.Struct, frozen=True):
    """The stream cannot be used, for example because of an unknown codec: it is reported and ends the call."""

    problem: str
    """As in `MediaFault`."""


MediaEvent = AudioChunk | MediaOpened | MediaMark | MediaDtmf | MediaReply | MediaStopped | MediaFault | MediaUnusable


class MediaCodec(abc.ABC):
    """Reads and writes the messages of one media socket, sans-IO. One instance for each socket."""

    @property
    @abc.abstractmethod
    def output(self) -> MediaOutput:
        """What `encode_audio` takes. Known before the stream starts, and always the same."""

    @abc.abstractmethod
    def decode(self, message: Message) -> Sequence[MediaEvent]:
        """Reads one message. Never raises: an unreadable one is a `MediaFault`. Empty if there is nothing to report."""

    @abc.abstractmethod
    def encode_audio(self, chunk: AudioChunk) -> Message:
        """Writes agent audio, which is in the format and of the length that `output` says, and not empty."""

    @abc.abstractmethod
    def encode_mark(self, name: str) -> Sequence[Message]:
        """Writes a mark, which the carrier returns when all audio before it was played.

        Empty if the carrier has no marks: then a clock reckons what was heard.
        """

    @abc.abstractmethod
    def encode_clear(self) -> Sequence[Message]:
        """Makes the carrier drop the audio that it has not played.

        Empty if it cannot: then `output.max_buffered` bounds how long it goes on after an interruption.
        """

    def encode_dtmf(self, digits: str) -> Sequence[Message]:
        """Has the carrier send keys: 0-9, *, #, A-D, and w for half a second of silence.

        Empty if that is not done on the media socket: then `Carrier.send_dtmf` does it, or tones are played.
        """
        return ()

    def encode_hang_up(self) -> Sequence[Message]:
        """Ends the call. It is sent before `Carrier.hang_up`, which follows all the same. Empty if there is no such."""
        return ()
