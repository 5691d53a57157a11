"""Chooses how audio gets from one format to another."""

from __future__ import annotations

from typing import Protocol

from patter_core.audio.chunk import AudioChunk, AudioFormat
from patter_core.audio.transcode import Transcoder

__all__ = ["Converter", "make_converter"]


class Converter(Protocol):
    """Converts one stream of audio, chunk by chunk."""

    def convert(self, chunk: AudioChunk) -> AudioChunk | None:
        """Returns the next converted chunk; None if the filter holds all of it back."""

    def flush(self) -> AudioChunk | None:
        """Returns what the filter held back, and starts a new stream."""


def make_converter(source: AudioFormat, target: AudioFormat) -> Converter | None:
    """Returns a converter; None if the formats are equal and audio passes untouched.

    Raises:
        AudioError: there is no conversion between these two formats.
    """
    if source == target:
        return None
    return Transcoder(source, target)
