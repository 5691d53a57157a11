"""The carrier's end of a call under load: streams the caller, hears the agent, returns marks as they are played."""

from __future__ import annotations

import asyncio
import binascii
import time
from collections import deque

import msgspec

from patter_core.audio import AudioFormat
from tests.bench.flow import Flow
from tests.bench.vendor import Placed, Said
from tests.bench.voice import FRAME_MS, Voice

__all__ = ["CarrierSide"]


class CarrierSide:
    """One media stream.

    Args:
        placed: the call.
        caller: what is said here.
        agent: what is heard here.
        voice: the caller's.
        format: of both.
    """

    def __init__(self, placed: Placed, *, caller: Flow, agent: Flow, voice: Voice, format: AudioFormat) -> None:
        self.marks = 0
        self.stream = placed.stream
        self.closed = placed.socket.closed
        self._socket = placed.socket
        self._caller, self._agent = caller, agent
        self._voice = voice
        self._frames = 0
        self._played_until = 0.0
        self._pending: deque[tuple[str, asyncio.TimerHandle]] = deque()
        self._cleared: asyncio.Future[float] | None = None
        self._void_before = 0
        self._s_a_character = 3 / 4 / format.byte_rate
        """Seconds that a character of base64 plays: three bytes in four characters."""
        self._socket.on_text = self._take
        self._socket.on_binary = self._take_audio
        for message in self.stream.opening():
            self._say(message)

    def tick(self) -> None:
        """Say the caller's next 20 ms."""
        text = self._voice.frame(self._caller.place + self._frames)
        self._frames += 1
        self._caller.send(text, FRAME_MS)
        message = self.stream.media(self._frames, text)
        (self._socket.send_binary if self.stream.is_binary else self._socket.send)(message)

    async def clear(self, *, void_before: int) -> float:
        """When the next `clear` comes. What the agent said before that number, and is not here by then, is void."""
        self._void_before = void_before
        self._cleared = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._cleared, 5)

    def stop(self) -> None:
        """The caller hangs up, and hears no more."""
        self._socket.on_text = self._socket.on_binary = _ignore
        for _, timer in self._pending:
            timer.cancel()
        self._pending.clear()
        last = self.stream.stop()
        if last is not None:
            self._say(last)
        self._socket.close()

    def _take(self, message: bytes) -> None:
        said, text = self.stream.read(message)
        if said is Said.AUDIO:
            self._hear(text)
        elif said is Said.MARK:
            wait = max(0.0, self._played_until - time.perf_counter())
            self._pending.append((text, asyncio.get_running_loop().call_later(wait, self._return_mark)))
        else:
            self._take_clear()

    def _take_audio(self, audio: bytes) -> None:
        self._hear(binascii.b2a_base64(audio, newline=False).decode())

    def _hear(self, text: str) -> None:
        self._played_until = max(self._played_until, time.perf_counter()) + len(text) * self._s_a_character
        self._agent.arrive(text)

    def _take_clear(self) -> None:
        self._played_until = now = time.perf_counter()
        self._agent.overtaken(self._void_before)
        if self._cleared is not None and not self._cleared.done():
            self._cleared.set_result(now)
        cleared = self.stream.cleared()
        if cleared is not None:
            self._say(cleared)
        while self._pending:
            self._pending[0][1].cancel()
            if cleared is None:
                self._return_mark()
            else:
                self._pending.popleft()

    def _return_mark(self) -> None:
        name, _ = self._pending.popleft()
        self.marks += 1
        self._say(self.stream.mark(name))

    def _say(self, message: msgspec.Struct) -> None:
        self._socket.send(msgspec.json.encode(message))


def _ignore(_message: bytes) -> None:
    """What was on its way when the caller hung up."""
