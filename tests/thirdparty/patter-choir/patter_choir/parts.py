"""The contract of a vocal."""

from __future__ import annotations

import abc
from typing import ClassVar

from patter_core.audio import AudioChunk, AudioFormat
from patter_core.kinds import Part

__all__ = ["VOCAL_API_VERSION", "Vocal"]

VOCAL_API_VERSION = 1


class Vocal(Part):
    """Something that sings."""

    api_version: ClassVar[int] = VOCAL_API_VERSION

    @abc.abstractmethod
    def sing(self, format: AudioFormat) -> AudioChunk:
        """Returns a song. Never waits."""
