"""An emulated caller, sans-IO: a script that turns into frames, and that listens to what is played to it.

One call of `Caller.next` is one frame of time: the owner of the clock says whether the agent was audible in it, and
gets what the caller sent meanwhile. A step that is done gives way to the next at once, within the same frame.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import msgspec

from patter_core.audio import AudioFormat

__all__ = [
    "FRAME_MS",
    "Caller",
    "CallerFrame",
    "EndCall",
    "Pause",
    "PressKey",
    "Say",
    "Step",
    "WaitForAgent",
    "WaitForSilence",
]


class Say(msgspec.Struct, frozen=True):
    """Say this, to its end. Audio in the call's format; silence fills the last frame."""

    audio: bytes


class Pause(msgspec.Struct, frozen=True):
    """Say nothing for that long (s)."""

    seconds: float


class WaitForAgent(msgspec.Struct, frozen=True):
    """Say nothing until the agent has been heard without a gap for that long (s); at 0, until it is heard at all."""

    heard: float = 0.0


class WaitForSilence(msgspec.Struct, frozen=True):
    """Say nothing until the agent has answered what the caller last said or pressed, and been silent for that long (s).

    Whatever the agent said since then is an answer; before the caller's first word, a greeting is.
    """

    silent: float = 0.6
    patience: float = math.inf
    """Seconds after which an answer that has not begun is not waited for."""


class PressKey(msgspec.Struct, frozen=True):
    """Press a key: one of 0-9, *, #, A-D. It takes a frame."""

    digit: str


class EndCall(msgspec.Struct, frozen=True):
    """Hang up. The end of a script is a hang-up too."""


Step = Say | Pause | WaitForAgent | WaitForSilence | PressKey | EndCall

FRAME_MS = 20


class CallerFrame(msgspec.Struct, frozen=True):
    """What a caller does in one frame of time."""

    audio: bytes
    """Exactly one frame, in the call's format; silence when nothing is said."""
    digits: str = ""
    """Keys that were pressed."""
    hang_up: bool = False
    """The caller has left. All later frames say so too."""


class Caller:
    """A caller who follows a script.

    Args:
        steps: what the caller does, in order.
        format: the call's audio format, in which every `Say` is.
        frame_ms: how much time a frame is.
    """

    def __init__(self, steps: Sequence[Step], format: AudioFormat, frame_ms: int = FRAME_MS) -> None:
        self.format = format
        self.frame_ms = frame_ms
        self.has_call = False
        """True once they were given to a call: a script is performed once."""
        self.unsaid = sum(isinstance(step, Say) for step in steps)
        """How many of the `Say` were not said to their end."""
        self._size = format.size(frame_ms)
        self._silence = CallerFrame(format.silence * (self._size // format.sample_width))
        self._heard_ms = 0
        """For how long the agent has been audible by now; 0 while it is not."""
        self._silent_ms = 0
        """For how long it has not."""
        self._answered = False
        """True if the agent has been audible since the caller last said or pressed something."""
        self._frames = self._perform(tuple(steps))

    def next(self, agent_audible: bool) -> CallerFrame:
        """Lets a frame of time pass.

        Args:
            agent_audible: True if the agent's audio was being played in it.
        """
        if agent_audible:
            self._heard_ms += self.frame_ms
            self._silent_ms = 0
            self._answered = True
        else:
            self._heard_ms = 0
            self._silent_ms += self.frame_ms
        return next(self._frames)

    def hear(self, audio: bytes) -> None:
        """Takes what was played to them in a frame of time: a script does not listen to the words."""

    def _perform(self, steps: Sequence[Step]) -> Iterator[CallerFrame]:
        """The script as an endless row of frames; each is made when its time has come."""
        for step in steps:
            if isinstance(step, EndCall):
                break
            yield from self._act(step)
        yield from itertools.repeat(CallerFrame(self._silence.audio, hang_up=True))

    def _act(self, step: Say | Pause | WaitForAgent | WaitForSilence | PressKey) -> Iterator[CallerFrame]:
        match step:
            case Say(audio):
                yield from self._say(audio)
                self.unsaid -= 1
                self._has_acted()
            case PressKey(digit):
                yield CallerFrame(self._silence.audio, digits=digit)
                self._has_acted()
            case Pause(seconds):
                yield from itertools.repeat(self._silence, round(seconds * 1000 / self.frame_ms))
            case WaitForAgent(heard):
                yield from self._silent_until(lambda: self._heard_ms >= max(self.frame_ms, heard * 1000))
            case WaitForSilence(silent, patience):
                yield from self._wait_for_answer(silent * 1000, patience * 1000)

    def _say(self, audio: bytes) -> Iterator[CallerFrame]:
        for start in range(0, len(audio), self._size):
            frame = audio[start : start + self._size]
            yield CallerFrame(frame + self._silence.audio[len(frame) :])

    def _silent_until(self, over: Callable[[], bool]) -> Iterator[CallerFrame]:
        while not over():
            yield self._silence

    def _wait_for_answer(self, silent_ms: float, patience_ms: float) -> Iterator[CallerFrame]:
        waited_ms = 0
        while not (self._silent_ms >= silent_ms if self._answered else waited_ms >= patience_ms):
            yield self._silence
            waited_ms += self.frame_ms

    def _has_acted(self) -> None:
        # This runs when the next frame is asked for, which may itself hold the start of the answer.
        self._answered = self._heard_ms > 0
