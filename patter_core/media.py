"""The media contract: a sans-IO codec for one media socket, and what it reads there."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import msgspec

from patter_core.audio import AudioChunk, AudioFormat

__all__ = [
    "MediaCodec",
    "MediaDtmf",
    "MediaEvent",
    "MediaFault",
    "MediaMark",
    "MediaOpened",
    "MediaStopped",
    "MediaUnusable",
]


class MediaOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The media stream started."""

    call_id: str
    """The carrier's id of the call: it must be the one in the stream token."""
    format: AudioFormat
    """Of the caller's audio."""
    parameters: dict[str, str] = {}


class MediaMark(msgspec.Struct, frozen=True):
    """A mark came back: the audio sent before it was played, or cleared."""

    name: str


class MediaDtmf(msgspec.Struct, frozen=True):
    """A key was pressed: one of 0-9, *, #, A-D."""

    digit: str


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


MediaEvent = AudioChunk | MediaOpened | MediaMark | MediaDtmf | MediaStopped | MediaFault | MediaUnusable


class MediaCodec(abc.ABC):
    """Reads and writes the messages of one media socket, sans-IO. One instance for each socket."""

    @property
    @abc.abstractmethod
    def output_format(self) -> AudioFormat:
        """The format that `encode_audio` takes. Known before the stream starts."""

    @abc.abstractmethod
    def decode(self, message: str | bytes) -> Sequence[MediaEvent]:
        """Reads one message. Never raises: an unreadable one is a `MediaFault`. Empty if there is nothing to report."""

    @abc.abstractmethod
    def encode_audio(self, chunk: AudioChunk) -> str:
        """Writes agent audio in `output_format`, of any length. Returns "" if it is held back until there is more."""

    @abc.abstractmethod
    def encode_mark(self, name: str) -> Sequence[str]:
        """Writes a mark, which the carrier returns when all audio before it was played. Held-back audio goes first."""

    @abc.abstractmethod
    def encode_clear(self) -> Sequence[str]:
        """Makes the carrier drop the audio that it has not played. Held-back audio is dropped with it."""
