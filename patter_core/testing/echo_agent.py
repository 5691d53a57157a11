"""An agent for an emulated engine: it greets, repeats what the caller says, and falls silent when talked over."""

from __future__ import annotations

import abc
import math
from collections import deque

import anyio
import anyio.abc

from patter_core.audio import AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.testing.changes import Changes
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, SpeechStarted, recognise
from patter_core.testing.speech import CALLER_LINES, GREETING

__all__ = ["EchoAgent", "EchoLine"]

_CHUNK_MS = 250
_PACE = 5
"""How many times faster than it plays speech is sent, as engines do."""
_MOST_PIECES = 5_000
"""Pieces of caller audio that wait to be heard; the oldest go."""


class EchoLine(abc.ABC):
    """What the agent says and reports, in the emulated vendor's messages."""

    @abc.abstractmethod
    async def send_audio(self, audio: bytes) -> None:
        """Send agent audio, in the output format."""

    @abc.abstractmethod
    async def agent_says(self, text: str) -> None:
        """A turn of the agent begins; this is its text."""

    @abc.abstractmethod
    async def user_said(self, text: str) -> None:
        """A turn of the caller is over; this is its text."""

    @abc.abstractmethod
    async def interrupted(self) -> None:
        """The caller talks over the agent: what has not been played yet is void."""

    @abc.abstractmethod
    async def turn_done(self) -> None:
        """The agent has said all of its turn."""


class EchoAgent:
    """The agent of one conversation: `run` leads it, `hear` feeds it.

    Args:
        line: where it speaks.
        input_format: of what it hears.
        output_format: of what it says.
        silence_ms: how much silence ends the caller's turn.
    """

    def __init__(
        self, line: EchoLine, input_format: AudioFormat, output_format: AudioFormat, *, silence_ms: float = 400
    ) -> None:
        self._line = line
        self._formats = (input_format, output_format)
        self._ears = EndOfTurn(input_format, silence_ms=silence_ms)
        self._pieces: deque[bytes] = deque(maxlen=_MOST_PIECES)
        self._changes = Changes()
        self._speech = anyio.CancelScope()
        self._playing_until = -math.inf

    def hear(self, audio: bytes) -> None:
        """Caller audio, in the input format. Never waits."""
        self._pieces.append(audio)
        self._changes.notify()

    async def run(self, greeting: str = "") -> None:
        """Greet and converse, until cancelled.

        Args:
            greeting: what the greeting is said to be; it sounds the same.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._say, greeting or GREETING.text, GREETING.audio(self._formats[1]))
            while True:
                await self._changes.wait_until(lambda: len(self._pieces) > 0)
                await self._listen(self._pieces.popleft(), tasks)

    async def _listen(self, audio: bytes, tasks: anyio.abc.TaskGroup) -> None:
        for event in self._ears.feed(audio):
            match event:
                case SpeechStarted():
                    await self._fall_silent()
                case SpeechEnded(audio=speech):
                    text = recognise(speech, self._formats[0], CALLER_LINES) or "[speech]"
                    await self._line.user_said(text)
                    tasks.start_soon(self._say, text, transcode(speech, *self._formats))

    async def _fall_silent(self) -> None:
        self._speech.cancel()
        if anyio.current_time() < self._playing_until:
            self._playing_until = -math.inf
            await self._line.interrupted()

    async def _say(self, text: str, audio: bytes) -> None:
        format = self._formats[1]
        size = format.size(_CHUNK_MS)
        with anyio.CancelScope() as self._speech:
            await self._line.agent_says(text)
            for start in range(0, len(audio), size):
                piece = audio[start : start + size]
                seconds = format.duration_ms(len(piece)) / 1000
                await self._line.send_audio(piece)
                self._playing_until = max(self._playing_until, anyio.current_time()) + seconds
                await anyio.sleep(seconds / _PACE)
            await self._line.turn_done()
