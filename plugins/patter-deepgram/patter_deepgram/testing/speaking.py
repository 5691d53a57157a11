"""One connection of the emulated voice: what it is given, and tones for it, or speech for lines that it knows."""

from __future__ import annotations

import functools
import math
import re
import struct
from collections import deque
from collections.abc import Sequence

import anyio
import msgspec
from starlette.websockets import WebSocket

from patter_core.audio import AudioFormat, Encoding
from patter_core.audio.transcode import transcode
from patter_core.testing.speech import Line
from patter_deepgram.testing.connection import Connection
from patter_deepgram.testing.listening import ENCODINGS
from patter_deepgram.wire.speak import Speak
from patter_pipeline.testing.known_speech import spoken

__all__ = ["MS_A_CHARACTER", "Manner", "SpeakConnection"]

MS_A_CHARACTER = 50.0
_CHUNK_MS = 200.0
_LONGEST_TEXT = 2_000
_ENOUGH = 80
"""Characters that are spoken before their sentence is over."""
_SENTENCE = re.compile(r"[.!?]\s*$")


class _Command(msgspec.Struct):
    type: str


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How the emulated voice behaves, as far as a test may change it."""

    pace: float = 20.0
    """Speed of sending speech, as a multiple of its playing speed."""
    flush_limit: int = 20
    """Flushes in a window."""
    flush_window: float = 60.0
    """In s."""
    stale_chunks: int = 1
    """Chunks of a cancelled text that come before `Cleared`."""
    chunk_bytes: int = 0
    """Of each message of audio; 0 for 200 ms."""


class SpeakConnection(Connection):
    """A connection to `/v1/speak`.

    Args:
        socket: which the service has accepted.
        manner: how it behaves.
        lines: of which it has real speech.
    """

    def __init__(self, socket: WebSocket, manner: Manner, lines: Sequence[Line] = ()) -> None:
        super().__init__(socket)
        query = dict(self.query)
        self.model = query["model"]
        self.format = AudioFormat(ENCODINGS[query["encoding"]], int(query["sample_rate"]))
        self.manner = manner
        self.lines = lines
        self.utterances: list[str] = []
        """The text of each, in order: a `Clear` or a `Close` ends one, and a `Flush` that is not at a blank."""
        self.spoken = bytearray()
        """All audio that was sent."""
        self._in_utterance = False
        self._is_flushed = False
        """The last utterance goes on, if there is a blank between its text and the next."""
        self._held = ""
        """Text that is not spoken yet, because its sentence is not whole."""
        self._work: deque[str | None] = deque()
        """Texts to speak; None is a `Flush`."""
        self._ends = False
        """It closes once there is no work."""
        self._epoch = 0
        self._is_busy = False
        self._sequence_id = 0
        self._flushes: deque[float] = deque()

    async def host(self) -> None:
        """Takes messages until the client is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._speak)
            while (message := await self.receive()) is not None and self.is_open:
                if isinstance(message, bytes):
                    await self.close(1003, "Messages are text: MESSAGE-0000")
                else:
                    await self._take(message)
            tasks.cancel_scope.cancel()

    async def _take(self, text: str) -> None:
        try:
            kind = msgspec.json.decode(text, type=_Command).type
            speak = msgspec.json.decode(text, type=Speak) if kind == "Speak" else None
        except msgspec.DecodeError:
            await self.close(1008, "No message: DATA-0000")
            return
        if speak is not None:
            await self._add(speak.text)
            return
        match kind:
            case "Flush":
                await self._flush()
            case "Clear":
                await self._clear()
            case "Close":
                self._work.append(self._held)
                self._ends = True
            case _:
                await self.close(1008, "No such message: DATA-0000")
        self.notify()

    async def _add(self, text: str) -> None:
        if len(text) > _LONGEST_TEXT:
            await self.close(1009, "The text is too long: BIG-0000")
            return
        goes_on = self._is_flushed and (self.utterances[-1].endswith(" ") or text.startswith(" "))
        if not self._in_utterance and not goes_on:
            self.utterances.append("")
        self._in_utterance, self._is_flushed = True, False
        self.utterances[-1] += text
        self._held += text
        if _SENTENCE.search(self._held) or len(self._held) >= _ENOUGH:
            self._work.append(self._held)
            self._held = ""
        self.notify()

    async def _flush(self) -> None:
        now = anyio.current_time()
        while self._flushes and now - self._flushes[0] > self.manner.flush_window:
            self._flushes.popleft()
        if len(self._flushes) >= self.manner.flush_limit:
            await self.send(
                {"type": "Warning", "code": "EXCESSIVE_FLUSHES", "description": "No more flushes in this window."}
            )
            return
        self._flushes.append(now)
        self._work += [self._held, None]
        self._held = ""
        self._is_flushed = self._in_utterance or self._is_flushed
        self._in_utterance = False

    async def _clear(self) -> None:
        was_busy, self._epoch = self._is_busy, self._epoch + 1
        self._work.clear()
        self._held, self._in_utterance, self._is_flushed = "", False, False
        for _ in range(self.manner.stale_chunks if was_busy else 0):
            await self.send(_tone(self.format)[: self._chunk_size])
        await self._number("Cleared")

    async def _speak(self) -> None:
        while True:
            await self.until(lambda: bool(self._work) or self._ends, math.inf)
            if not self._work:
                await self.close(1000)
                return
            text, epoch = self._work.popleft(), self._epoch
            if text is None:
                await self._number("Flushed")
            else:
                await self._say(text, epoch)

    async def _say(self, text: str, epoch: int) -> None:
        self._is_busy = True
        left = self._sound_of(text)
        while left and epoch == self._epoch:
            chunk, left = left[: self._chunk_size], left[self._chunk_size :]
            self.spoken += chunk
            await self.send(chunk)
            await anyio.sleep(self.format.duration_ms(len(chunk)) / 1000 / self.manner.pace)
        self._is_busy = False

    def _sound_of(self, text: str) -> bytes:
        speech = spoken(text, self.lines, self.format)
        if speech is not None:
            return b"".join(speech)
        size, tone = self.format.size(MS_A_CHARACTER * len(text.strip())), _tone(self.format)
        return (tone * (size // len(tone) + 1))[:size]

    @property
    def _chunk_size(self) -> int:
        return self.manner.chunk_bytes or self.format.size(_CHUNK_MS)

    async def _number(self, kind: str) -> None:
        await self.send({"type": kind, "sequence_id": self._sequence_id})
        self._sequence_id += 1


@functools.cache
def _tone(format: AudioFormat) -> bytes:
    """Returns a chunk of a tone."""
    count = round(format.sample_rate * _CHUNK_MS / 1000)
    samples = [round(8_000 * math.sin(2 * math.pi * 440 * at / format.sample_rate)) for at in range(count)]
    linear = struct.pack(f"<{count}h", *samples)
    return transcode(linear, AudioFormat(Encoding.PCM16, format.sample_rate), format)
