"""The far end of an emulated line, sans-IO: a caller, what is played to him, and a tape of both."""

from __future__ import annotations

import msgspec

from patter_core.testing.caller import Caller
from patter_core.testing.emulator import CallRecording
from patter_core.testing.playback import PlaybackBuffer

__all__ = ["Telephone", "Tick"]


class Tick(msgspec.Struct, frozen=True):
    """What one frame of time brought: what a carrier now sends on its media socket."""

    audio: bytes
    """The caller's frame, in the call's format."""
    digits: str
    """Keys that the caller pressed."""
    marks: tuple[str, ...]
    """Marks that playback has reached."""
    hang_up: bool
    """The caller has left."""


class Telephone:
    """A caller with a telephone. Whoever holds the clock calls `tick` once for each frame of time."""

    def __init__(self, caller: Caller) -> None:
        self.recording = CallRecording(format=caller.format)
        self.speaker = PlaybackBuffer(caller.format)
        """Where agent audio goes: `append`, `mark`, `clear`."""
        self._caller = caller

    @property
    def frame_ms(self) -> int:
        """How much time a tick is, in ms."""
        return self._caller.frame_ms

    def tick(self) -> Tick:
        """Let a frame of time pass."""
        played = self.speaker.play(self._caller.frame_ms)
        frame = self._caller.next(bool(played.audio))
        self.recording.caller += frame.audio
        self.recording.agent += played.frame
        self.recording.played += played.audio
        return Tick(frame.audio, frame.digits, played.marks, frame.hang_up)
