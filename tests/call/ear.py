"""A carrier that plays audio in real time, late, or not at all, and returns marks accordingly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.testing.fakes import FakeSocket
from patter_core.transport import Message

__all__ = ["Ear"]


class Ear(FakeSocket):
    """The carrier: plays audio in real time until it is cleared, and returns each mark some time after it was reached.

    Args:
        lag: s.
        stall: from when on, in s after the first audio, it plays nothing more.
    """

    def __init__(self, lag: float, stall: float) -> None:
        super().__init__()
        self._lag, self._end = lag, stall
        self._audio = bytearray()
        self._began = 0.0

    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`."""
        result = super().send(message)
        loop = asyncio.get_running_loop()
        sent = self.sent[-1]
        if sent.event == "audio":
            if not self._audio:
                self._began = loop.time()
            self._audio += AudioChunk.from_base64(sent.value, ULAW_8000).data
        elif sent.event == "clear":
            self._end = min(self._end, self.elapsed)
        elif sent.event == "mark":
            reached = len(self._audio) / ULAW_8000.byte_rate
            if reached <= self._end:
                loop.call_at(self._began + reached + self._lag, self.say, "mark", sent.value)
        return result

    @property
    def elapsed(self) -> float:
        """Seconds since the first audio; 0 before."""
        return asyncio.get_running_loop().time() - self._began if self._audio else 0.0

    def played_ms(self, level: bytes) -> float:
        """How much was played until now of audio that consists of that byte."""
        seconds = min(self.elapsed, self._end)
        return ULAW_8000.duration_ms(bytes(self._audio[: ULAW_8000.size(seconds * 1000)]).count(level))
