"""What stands between two sides that do not write audio alike."""

from __future__ import annotations

from typing import Protocol

from patter_core.audio import AudioChunk, AudioFormat

__all__ = ["Converter", "make_converter"]


class Converter(Protocol):
    """What turns audio of one format into another: `patter_core.audio.transcode.Transcoder`."""

    def convert(self, chunk: AudioChunk) -> AudioChunk | None: ...

    def flush(self) -> AudioChunk | None: ...


def make_converter(source: AudioFormat, target: AudioFormat) -> Converter | None:
    """One for that direction; None if there is nothing to convert."""
    if source == target:
        return None
    from patter_core.audio.transcode import Transcoder  # noqa: PLC0415 - loads numpy, which most calls do without

    return Transcoder(source, target)
