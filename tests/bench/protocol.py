"""What the conductor asks of the two processes, and what they answer."""

from __future__ import annotations

import enum

import msgspec

__all__ = [
    "BargedIn",
    "Begin",
    "Command",
    "Dial",
    "Done",
    "End",
    "HangUp",
    "Interrupt",
    "LoadCommand",
    "Measured",
    "Profile",
    "Tally",
    "Usage",
    "UsageAsked",
]


class Profile(enum.StrEnum):
    """How the agent's audio comes."""

    WORST = "worst"
    """A frame each 20 ms, without end, while the caller's come too."""
    SERVICE = "service"
    """Answers of 3 s in chunks of 0.2 to 0.5 s, four times as fast as they play, then 2 s of silence; text beside."""


class Command(msgspec.Struct, frozen=True, tag=True):
    """The base of what the load generator is asked."""


class Dial(Command, frozen=True):
    """Place the calls, one after the other, and start to talk in all of them."""

    voice_url: str
    calls: int
    profile: Profile
    engine_format: str
    """`ulaw_8000` or `pcm_16000`: what the conversation server says that the agent speaks and hears."""
    beside: bool = False
    """True if those that were placed before go on, and talk meanwhile."""


class Begin(Command, frozen=True):
    """Measure from now on."""


class End(Command, frozen=True):
    """Tell what was measured."""


class Interrupt(Command, frozen=True):
    """Interrupt the agent as many times, in one call after the other."""

    times: int


class HangUp(Command, frozen=True):
    """Stop talking, let everything arrive, end the calls, and tell what was wrong."""

    settle: float
    """Seconds for the last frames to arrive, and for what a converter gives when it takes silence for a turn's end."""


LoadCommand = Dial | Begin | End | Interrupt | HangUp


class Done(msgspec.Struct, frozen=True):
    """Nothing to tell, but how long it took."""

    seconds: float


class Measured(msgspec.Struct, frozen=True):
    """Between `Begin` and `End`."""

    seconds: float
    frames: int
    """Pieces of audio that arrived, both ways."""
    to_engine_ms: list[float]
    """Of each piece, from its sending to its arrival."""
    to_caller_ms: list[float]
    own_cpu: float
    """What the load generator itself used of its core: 1 is all of it."""
    late_ms: list[float]
    """By how much the load generator was late with its own ticks."""


class BargedIn(msgspec.Struct, frozen=True):
    """From the engine's word to the carrier's clear."""

    clear_ms: list[float]


class Tally(msgspec.Struct, frozen=True):
    """A whole run."""

    sent: int
    arrived: int
    void: int
    marks: int
    pongs: int
    fault_count: int
    faults: list[str]


class UsageAsked(msgspec.Struct, frozen=True):
    """Asks a target what it has used."""


class Usage(msgspec.Struct, frozen=True):
    """What a target has used, by its own account."""

    cpu_s: float
    system_s: float
    """The kernel's part of it: mostly the sockets."""
    wall_s: float
