"""The engine's end of a call under load: hears the caller, and talks as the service does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from patter_core.audio import AudioChunk, AudioFormat
from tests.bench.flow import Flow
from tests.bench.lean import LeanSocket
from tests.bench.protocol import Profile
from tests.bench.service import Talk
from tests.bench.voice import FRAME_MS, Voice

__all__ = ["EngineSide"]

_AHEAD = 50
"""Frames that are said at once before an interruption."""
_PING_EVERY = 100
"""Ticks: 2 s."""
_CYCLE = 250
"""Ticks of an answer and of the silence after it: 5 s."""
_CHUNKS = (10, 15, 20, 25, 15, 20, 25, 20)
"""Frames in each chunk of an answer: 3 s in all."""
_PACE = 4
"""Times faster than it plays."""


def _schedule() -> dict[int, int]:
    """At which tick of a cycle how many frames go out in one piece."""
    ticks: dict[int, int] = {}
    said = 0
    for frames in _CHUNKS:
        ticks[said // _PACE] = frames
        said += frames
    return ticks


_ANSWER = _schedule()
_ANSWERED = max(_ANSWER) + 1
"""The tick after the last piece."""


class EngineSide:
    """One conversation. It answers the first message and calls `opened`; `join` makes it part of a call."""

    def __init__(
        self, socket: LeanSocket, format: AudioFormat, talk: Talk, opened: Callable[[EngineSide], None]
    ) -> None:
        self.closed = socket.closed
        self._silence = AudioChunk(format.silence * (format.sample_rate // 10), format).base64
        """What the agent is given in place of audio, a tenth of a second at a time, before the caller's first frame."""
        self._socket = socket
        self._talk = talk
        self._opened = opened
        self._ticks = 0
        socket.on_text = self._initiated
        asyncio.get_running_loop().call_soon(self._greet)  # after the handshake

    @property
    def pongs(self) -> int:
        """Answers to pings."""
        return self._talk.pongs

    def join(self, *, caller: Flow, agent: Flow, voice: Voice, profile: Profile, frame_ms: int) -> None:
        """Which call this is; `caller` is what is heard here, `agent` what is said in `voice`.

        What is said arrives in messages of `frame_ms`; if that is 0, as it is said.
        """
        self._arrives_in_frames = frame_ms == FRAME_MS
        self._caller, self._agent, self._voice = caller, agent, voice
        self._place = agent.place
        self._ticks = agent.call * 37  # not all begin their answers, or ping, at once
        self.tick = self._tick_worst if profile is Profile.WORST else self._tick_service

    def say_ahead(self) -> None:
        """Say a second at once, so that there is something to interrupt: silence is not cleared."""
        self._say(self._voice.stretch(self._place, _AHEAD), _AHEAD)

    def interrupt(self) -> tuple[float, int]:
        """Say that the caller talks over the agent. Gives when, and the number from which on its audio is live."""
        told = self._talk.interruption()
        self._send(told)
        return time.perf_counter(), self._agent.sent

    def _tick_worst(self) -> None:
        self._ticks += 1
        if self._ticks % _PING_EVERY == 0:
            self._send(self._talk.ping())
        self._say(self._voice.frame(self._place), 1)

    def _tick_service(self) -> None:
        self._ticks += 1
        if self._ticks % _PING_EVERY == 0:
            self._send(self._talk.ping())
        tick = self._ticks % _CYCLE
        if tick == 0:
            self._send(self._talk.answer_begins())
        frames = _ANSWER.get(tick)
        if frames is not None:
            self._say(self._voice.stretch(self._place, frames), frames)
        if tick == _ANSWERED:
            self._send(self._talk.answer_ends())

    def _say(self, text: str, frames: int) -> None:
        if self._arrives_in_frames:
            for place in range(self._place, self._place + frames):
                self._agent.send(self._voice.frame(place), FRAME_MS)
        else:
            self._agent.send(text, frames * FRAME_MS)
        self._place += frames
        self._socket.send(self._talk.audio(text))

    def _greet(self) -> None:
        self._send(self._talk.greeting())

    def _initiated(self, text: bytes) -> None:
        self._socket.on_text = self._take
        self._send(self._talk.initiated(text))
        self._opened(self)

    def _take(self, text: bytes) -> None:
        audio = self._talk.heard(text)
        if audio is not None and audio != self._silence:
            self._caller.arrive(audio)

    def _send(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self._socket.send(message)
