"""Real speech for emulated calls: an agent's greeting, a caller's lines, and what an agent answers to them.

The files lie beside this module; README.md there tells how they were made.
"""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from patter_core.audio import AudioFormat
from patter_core.testing.wav import read_wav_as

__all__ = ["AGENT_LINES", "CALLER_LINES", "GREETING", "REPLIES", "WELCOME", "Line", "line"]


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
        return read_wav_as(file, format)


GREETING = Line("greeting", "Hello, this is Patter. Say something, and I will say it back to you.", "agent")

CALLER_LINES = (
    Line("booking", "Hi, I would like to book a table for two this evening.", "caller"),
    Line("correction", "Wait, make that three people, please.", "caller"),
    Line("time", "Half past seven would be perfect.", "caller"),
    Line("goodbye", "Thank you, goodbye.", "caller"),
)

WELCOME = Line("welcome", "Blue Door, good evening. How can I help you?", "agent")
"""The first message of an agent that takes bookings."""

AGENT_LINES = (
    WELCOME,
    Line("offer", "Certainly, a table for two this evening. At what time would you like to come?", "agent"),
    Line("three", "Of course, three people. And at what time?", "agent"),
    Line("booked", "Your table is booked. Is there anything else?", "agent"),
    Line("farewell", "You are welcome. Goodbye.", "agent"),
)
"""What that agent says."""

REPLIES = dict(zip(CALLER_LINES, AGENT_LINES[1:], strict=True))
"""What it answers to each line of the caller."""

_LINES = {line.name: line for line in (GREETING, *CALLER_LINES, *AGENT_LINES)}


def line(name: str) -> Line:
    """The line of that name.

    Raises:
        KeyError: there is none.
    """
    return _LINES[name]
