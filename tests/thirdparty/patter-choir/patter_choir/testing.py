"""The check of vocals against their contract."""

from __future__ import annotations

from collections.abc import Callable

from patter_choir.parts import Vocal
from patter_core.audio import PCM16_16000, ULAW_8000
from patter_core.errors import ConformanceError

__all__ = ["check_vocal"]


async def check_vocal(make: Callable[[], Vocal]) -> None:
    """Tries a vocal in two formats.

    Raises:
        ConformanceError: it sings nothing, or in another format.
    """
    for format in (ULAW_8000, PCM16_16000):
        song = make().sing(format)
        if song.format != format or not song.data:
            raise ConformanceError("It does not sing.", check="vocal: a song", expected=str(format))
