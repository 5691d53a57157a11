"""An agent for emulated engines: it greets, repeats what the caller says, and stops when the caller talks over it.

`EchoAgent` decides; an `EchoVoice` speaks in the messages of the emulated vendor. `PacedVoice` is one for emulators
that have no pacing of their own.
"""

from __future__ import annotations

import abc
import math

import anyio
import anyio.abc

from patter_core.aio import DroppingQueue
from patter_core.audio import AudioFormat
from patter_core.audio.transcode import transcode
from patter_core.testing.hearing import EndOfTurn, SpeechEnded, SpeechStarted, recognise
from patter_core.testing.speech import CALLER_LINES, GREETING

__all__ = ["EchoAgent", "EchoVoice", "PacedVoice"]

_CHUNK_MS = 250
_PACE = 5
"""Speed of sending speech, as a multiple of its playing speed: engines send ahead."""
_QUEUE_LIMIT = 5_000
"""Pieces of caller audio that wait to be heard; the oldest are dropped."""


class EchoVoice(abc.ABC):
    """The agent's side of one conversation."""

    @property
    @abc.abstractmethod
    def speaking(self) -> bool:
        """True while what was said is still playing."""

    @abc.abstractmethod
    async def say(self, text: str, audio: bytes) -> None:
        """Speaks a turn, in the output format, until all is sent. May be cancelled at any time."""

    @abc.abstractmethod
    async def interrupt(self) -> None:
        """The caller talks over the agent: what has not been played is void."""

    @abc.abstractmethod
    async def user_said(self, text: str) -> None:
        """A turn of the caller is over; this is its text."""


class EchoAgent:
    """The agent of one conversation.

    Args:
        voice: speaks for it.
        input_format: of caller audio.
        output_format: of agent audio.
        silence_ms: silence that ends the caller's turn.
        think_ms: time from the end of the caller's turn to the answer.
    """

    def __init__(
        self,
        voice: EchoVoice,
        input_format: AudioFormat,
        output_format: AudioFormat,
        *,
        silence_ms: float = 400,
        think_ms: float = 0,
    ) -> None:
        self._voice = voice
        self._formats = (input_format, output_format)
        self._think_ms = think_ms
        self._hearing = EndOfTurn(input_format, silence_ms=silence_ms)
        self._pieces: DroppingQueue[bytes] = DroppingQueue(_QUEUE_LIMIT)
        self._turn = anyio.CancelScope()
        """The turn that is being spoken, or about to be."""

    async def interrupt(self) -> None:
        """Stops what the agent says, as the caller's speech does."""
        self._turn.cancel()
        if self._voice.speaking:
            await self._voice.interrupt()

    def hear(self, audio: bytes) -> None:
        """Caller audio, in the input format. Never waits."""
        self._pieces.put(audio)

    async def run(self, greeting: str = "", *, greets: bool = True) -> None:
        """Greets and converses, until cancelled.

        Args:
            greeting: text of the greeting; its audio is always the same.
            greets: False to wait for the caller.
        """
        async with anyio.create_task_group() as tasks:
            self._turn = anyio.CancelScope()
            if greets:
                tasks.start_soon(self._say, self._turn, greeting or GREETING.text, GREETING.audio(self._formats[1]))
            async for piece in self._pieces:
                for event in self._hearing.feed(piece):
                    match event:
                        case SpeechStarted():
                            await self.interrupt()
                        case SpeechEnded(audio=speech):
                            await self._repeat(speech, tasks)

    async def _repeat(self, speech: bytes, tasks: anyio.abc.TaskGroup) -> None:
        heard, _ = self._formats
        seconds = heard.duration_ms(len(speech)) / 1000
        text = recognise(speech, heard, CALLER_LINES) or f"[{seconds:.1f} s of speech]"
        await self._voice.user_said(text)
        self._turn = anyio.CancelScope()
        tasks.start_soon(self._say, self._turn, text, transcode(speech, *self._formats), self._think_ms / 1000)

    async def _say(self, turn: anyio.CancelScope, text: str, audio: bytes, delay: float = 0.0) -> None:
        with turn:
            await anyio.sleep(delay)
            await self._voice.say(text, audio)


class PacedVoice(EchoVoice):
    """A voice that sends speech in chunks, faster than it plays, and knows how much is still playing.

    Args:
        format: of agent audio.
    """

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._playing_until = -math.inf

    @abc.abstractmethod
    async def send_audio(self, audio: bytes) -> None:
        """Sends agent audio."""

    @abc.abstractmethod
    async def agent_says(self, text: str) -> None:
        """A turn of the agent begins; this is its text."""

    @abc.abstractmethod
    async def turn_done(self) -> None:
        """All of the agent's turn was sent."""

    @abc.abstractmethod
    async def interrupted(self) -> None:
        """What has not been played is void."""

    @property
    def speaking(self) -> bool:
        return anyio.current_time() < self._playing_until

    async def say(self, text: str, audio: bytes) -> None:
        await self.agent_says(text)
        size = self._format.size(_CHUNK_MS)
        for start in range(0, len(audio), size):
            piece = audio[start : start + size]
            seconds = self._format.duration_ms(len(piece)) / 1000
            await self.send_audio(piece)
            self._playing_until = max(self._playing_until, anyio.current_time()) + seconds
            await anyio.sleep(seconds / _PACE)
        await self.turn_done()

    async def interrupt(self) -> None:
        self._playing_until = -math.inf
        await self.interrupted()
