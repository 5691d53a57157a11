"""Real speech for emulated calls: an agent's greeting, and a caller's lines.

The files lie beside this module; README.md there tells how they were made.
"""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from patter_core.audio import AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.testing.wav import read_wav

__all__ = ["CALLER_LINES", "GREETING", "Line", "line"]


class Line(msgspec.Struct, frozen=True):
    """Something that is said: `line.audio(ULAW_8000)`."""

    name: str
    text: str
    speaker: str
    """`agent` or `caller`: each has a voice."""

    def audio(self, format: AudioFormat) -> bytes:
        """The speech, from its first sound to its last with 40 ms of silence around, in any format."""
        return _audio(self.name, format)


@functools.cache
def _audio(name: str, format: AudioFormat) -> bytes:
    with resources.files(__name__).joinpath(f"{name}.wav").open("rb") as file:
        return transcode(*read_wav(file), format)


GREETING = Line("greeting", "Hello, this is Patter. Say something, and I will say it back to you.", "agent")

CALLER_LINES = (
    Line("booking", "Hi, I would like to book a table for two this evening.", "caller"),
    Line("correction", "Wait, make that three people, please.", "caller"),
    Line("time", "Half past seven would be perfect.", "caller"),
    Line("goodbye", "Thank you, goodbye.", "caller"),
)

_LINES = {line.name: line for line in (GREETING, *CALLER_LINES)}


def line(name: str) -> Line:
    """The line of that name.

    Raises:
        KeyError: there is none.
    """
    return _LINES[name]
