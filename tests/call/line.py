"""A call's downlink, and a carrier at the other end of its socket that plays what it gets, in the loop's time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import anyio

from patter_core.audio import ULAW_8000, AudioChunk, AudioFormat
from patter_core.call.downlink import Downlink
from patter_core.call.records import Outlets
from patter_core.call.turns import TurnHeard
from patter_core.engine import Heard
from patter_core.events import AudioCaptured, Record
from patter_core.media import MediaOutput
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage, FakeSocket
from patter_core.transport import Message
from tests.calls import new_call

__all__ = ["Ear", "Line", "pieces", "speech"]


class Ear(FakeSocket):
    """The carrier: plays audio one piece after the other, drops it at a clear, and returns marks.

    Args:
        format: of the audio.
        lag: s between the moment when a mark was reached and its return; negative if it comes too early.
        keeps_marks: never returns one.
    """

    def __init__(self, format: AudioFormat = ULAW_8000, *, lag: float = 0.0, keeps_marks: bool = False) -> None:
        super().__init__()
        self.line: Line | None = None
        self.most_buffered = 0.0
        """Seconds of audio that waited here at most, and were not played."""
        self.cleared_at: list[int] = []
        """How much had been received at each clear, in bytes."""
        self.sizes: list[int] = []
        """Of the messages of audio."""
        self.binary = 0
        """How many messages were binary."""
        self._format = format
        self._lag, self._keeps_marks = lag, keeps_marks
        self._received = bytearray()
        self._played = bytearray()
        self._waiting = bytearray()
        self._since = 0.0
        """Up to when it has played."""
        self._marks: list[asyncio.TimerHandle] = []

    @property
    def received(self) -> bytes:
        """All audio that came."""
        return bytes(self._received)

    @property
    def played(self) -> bytes:
        """All audio that was played until now."""
        self._play()
        return bytes(self._played)

    def send(self, message: Message) -> Awaitable[None] | None:
        """As in `Socket`."""
        result = super().send(message)
        self._play()
        self.binary += isinstance(message, bytes)
        sent = self.sent[-1]
        match sent.event:
            case "audio":
                data = AudioChunk.from_base64(sent.value, self._format).data
                self.sizes.append(len(data))
                self._received += data
                self._waiting += data
                self.most_buffered = max(self.most_buffered, len(self._waiting) / self._format.byte_rate)
            case "mark" if not self._keeps_marks:
                loop = asyncio.get_running_loop()
                reached = self._since + len(self._waiting) / self._format.byte_rate
                self._marks.append(loop.call_at(reached + self._lag, self._return, sent))
            case "clear":
                self._waiting.clear()
                self.cleared_at.append(len(self._received))
                for mark in self._marks:
                    mark.cancel()
            case _:
                pass
        return result

    def leave(self) -> None:
        """The connection is gone."""
        self.closed = True
        for mark in self._marks:
            mark.cancel()

    def _return(self, mark: FakeMessage) -> None:
        if self.line is not None:
            self.line.downlink.mark_returned(mark.value)

    def _play(self) -> None:
        now = asyncio.get_running_loop().time()
        size = min(len(self._waiting), round((now - self._since) * self._format.byte_rate))
        self._played += self._waiting[:size]
        del self._waiting[:size]
        self._since = now if not self._waiting else self._since + size / self._format.byte_rate


def _capture_into(captured: list[AudioCaptured]) -> Callable[[Record], None]:
    def put(record: Record) -> None:
        assert isinstance(record.event, AudioCaptured)
        captured.append(record.event)

    return put


class Line:
    """The downlink of a call that is live, without an engine: the test speaks for the agent.

    Args:
        output: what the carrier takes.
        has_marks: False if it knows no marks.
        is_binary: True if its messages are binary.
        captured: gets what a sink of audio gets.
    """

    def __init__(
        self,
        output: MediaOutput | None = None,
        *,
        has_marks: bool = True,
        is_binary: bool = False,
        ear: Ear | None = None,
        captured: list[AudioCaptured] | None = None,
    ) -> None:
        self.output = output or MediaOutput(format=ULAW_8000)
        self.ear = ear or Ear(self.output.format)
        self.faults: list[str] = []
        self.told: list[Heard] = []
        carrier = FakeCarrier(output=self.output, has_marks=has_marks, is_binary=is_binary)
        capture = None if captured is None else _capture_into(captured)
        outlets, clock = Outlets(put_audio=capture), asyncio.get_running_loop().time
        self.call = new_call(FakeEngine(), carrier=carrier, outlets=outlets, clock=clock).context
        self.codec = carrier.media_codec(Leg(carrier="fake", call_id="leg-1"))
        self.downlink = Downlink(self.call, self.codec, on_fault=self.faults.append)
        self.downlink.on_heard = self._hear

    @contextlib.asynccontextmanager
    async def running(self, *, attached: bool = True) -> AsyncIterator[None]:
        """The call lasts."""
        async with self.call.tasks:
            if attached:
                self.attach(self.ear)
            yield
            self.downlink.close()
            self.call.tasks.cancel_scope.cancel()

    def attach(self, ear: Ear) -> None:
        """The media socket is here, and its stream is open."""
        self.ear, ear.line = ear, self
        self.downlink.attach_media(self.codec, ear)
        self.downlink.open()

    def lose(self) -> None:
        """The media socket is gone."""
        self.ear.leave()
        self.downlink.detach_media()

    def say(self, *chunks: bytes, turn: str | None = None, ends: bool = False) -> None:
        """The agent speaks, as fast as its engine can."""
        if turn is not None:
            self.downlink.begin_turn(turn)
        for chunk in chunks:
            self.downlink.play(AudioChunk(chunk, self.output.format))
        if ends:
            self.downlink.end_turn()

    async def silence(self, within: float = 200.0) -> None:
        """Waits until the carrier has played all it will get."""
        with anyio.fail_after(within):
            await self.call.changes.wait_until(lambda: not self.downlink.audible)

    def _hear(self, told: TurnHeard) -> None:
        self.told.append(told.heard)

    @property
    def heard_ms(self) -> list[float]:
        """Of each turn that was told."""
        return [round(sum(item.heard_ms for item in told.items), 3) for told in self.told]


def speech(seconds: float, *, format: AudioFormat = ULAW_8000, seed: int = 1) -> bytes:
    """Audio of which no two places are alike."""
    return random.Random(seed).randbytes(format.size(seconds * 1000))


def pieces(data: bytes, *, longest: int = 4_000, width: int = 1, seed: int = 1) -> Iterator[bytes]:
    """Cuts audio as engines do: no two chunks alike, and none a number of frames."""
    at, dice = 0, random.Random(seed)
    while at < len(data):
        size = dice.randint(1, longest // width) * width
        yield data[at : at + size]
        at += size
