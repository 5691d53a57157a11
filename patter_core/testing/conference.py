"""Two calls that are connected at an emulated carrier: each party hears what the other one says."""

from __future__ import annotations

from typing import Protocol

import anyio

from patter_core.aio import Changes
from patter_core.testing.caller import FRAME_MS, Caller
from patter_core.testing.stream import CallRecording

__all__ = ["Conference"]

_FRAME_S = FRAME_MS / 1000


class Line(Protocol):
    """What a conference needs of a call."""

    call_id: str
    caller: Caller
    recording: CallRecording
    changes: Changes
    connected_to: list[str]


class Conference:
    """Two lines, frame by frame on one clock. Both formats are the same: those of one emulator's telephones."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._over = anyio.Event()

    @property
    def is_over(self) -> bool:
        """True once one of the two has left."""
        return self._over.is_set()

    async def join(self, line: Line) -> None:
        """Takes part until one of the two hangs up, or leaves, which is to be cancelled in here."""
        self._lines.append(line)
        try:
            if len(self._lines) == 2:
                await self._run(*self._lines)
            else:
                await self._over.wait()
        finally:
            self._over.set()

    async def _run(self, one: Line, other: Line) -> None:
        one.connected_to.append(other.call_id)
        other.connected_to.append(one.call_id)
        silence = one.recording.format.silence * (
            one.recording.format.size(FRAME_MS) // one.recording.format.sample_width
        )
        said = [silence, silence]
        deadline = anyio.current_time()
        while not self._over.is_set():
            deadline += _FRAME_S
            await anyio.sleep_until(deadline)
            frames = [one.caller.next(said[1] != silence), other.caller.next(said[0] != silence)]
            said = [frame.audio for frame in frames]
            for line, own, heard in ((one, said[0], said[1]), (other, said[1], said[0])):
                line.recording.caller += own
                line.recording.agent += heard
                line.recording.played += heard if heard != silence else b""
                line.changes.notify()
            if any(frame.hang_up for frame in frames):
                return
