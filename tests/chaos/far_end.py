"""A carrier beyond a real socket that plays what it gets, drops it at a clear, and refuses what it does not keep."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import anyio
import msgspec
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from patter_core.audio import AudioChunk
from patter_core.call.config import HostConfig
from patter_core.call.timeouts import Deadlines
from patter_core.events import Record
from patter_core.media import MediaOutput
from patter_core.server.asgi_socket import AsgiSocket
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage, FakeSession
from tests.calls import new_call

__all__ = ["FarEnd", "far_end"]


class FarEnd:
    """The carrier's side of one call.

    Args:
        media: its socket.
        output: what it takes: it closes the socket on a message of another length.
        keeps: s of audio that it keeps; it closes the socket on more.
        speed: how much faster than real it plays.
    """

    def __init__(self, media: ClientConnection, output: MediaOutput, *, keeps: float, speed: float) -> None:
        self.received = bytearray()
        self.most_buffered = 0.0
        """Seconds of audio that waited here at most."""
        self.cleared: list[float] = []
        """When clears came, on the clock of `time.monotonic`."""
        self.engine = FakeEngine()
        self.records: list[Record] = []
        self._media = media
        self._format = output.format
        self._frame = output.format.size(output.frame_ms)
        self._keeps = keeps
        self._speed = speed
        self._played = bytearray()
        self._waiting = bytearray()
        self._since = 0.0
        self._marks: set[asyncio.Task[None]] = set()

    @property
    def buffered(self) -> float:
        """Seconds of audio that wait here."""
        self._play()
        return len(self._waiting) / self._format.byte_rate

    @property
    def played(self) -> bytearray:
        """All audio that was played until now."""
        self._play()
        return self._played

    async def run(self) -> None:
        """Plays, until the socket is closed."""
        await self.say("start", "leg-1")
        with contextlib.suppress(ConnectionClosed):
            async for message in self._media:
                await self._take(msgspec.json.decode(message, type=FakeMessage))
        for mark in self._marks:
            mark.cancel()

    async def say(self, event: str, value: str = "") -> None:
        """Sends a message."""
        with contextlib.suppress(ConnectionClosed):
            await self._media.send(msgspec.json.encode(FakeMessage(event, value)).decode())

    async def _take(self, message: FakeMessage) -> None:
        self._play()
        match message.event:
            case "audio":
                data = AudioChunk.from_base64(message.value, self._format).data
                self.received += data
                self._waiting += data
                self.most_buffered = max(self.most_buffered, self.buffered)
                if (self._frame and len(data) != self._frame) or self.buffered > self._keeps:
                    await self._media.close(1003, f"{len(data)} bytes, {self.buffered:.2f} s")
            case "mark":
                mark = asyncio.create_task(self._return(self.buffered, message.value))
                self._marks.add(mark)
                mark.add_done_callback(self._marks.discard)
            case "clear":
                self.cleared.append(time.monotonic())
                self._waiting.clear()
                for mark in self._marks:
                    mark.cancel()
            case _:
                pass

    async def _return(self, after: float, name: str) -> None:
        await anyio.sleep(after / self._speed)
        await self.say("mark", name)

    def _play(self) -> None:
        now = time.monotonic() * self._speed
        size = min(len(self._waiting), int((now - self._since) * self._format.sample_rate) * self._format.sample_width)
        self._played += self._waiting[:size]
        del self._waiting[:size]
        self._since = now if not self._waiting else self._since + size / self._format.byte_rate

    @property
    def close_reason(self) -> str:
        """Why it has closed the socket; "" if it has not."""
        return self._media.close_reason or ""


@contextlib.asynccontextmanager
async def far_end(
    output: MediaOutput, *, has_marks: bool = True, keeps: float, speed: float = 1.0
) -> AsyncIterator[tuple[FarEnd, FakeSession]]:
    """A live call over a real socket, and its engine's session. The call's clock is as fast as the carrier."""
    leg = Leg(carrier="fake", call_id="leg-1")
    carrier = FakeCarrier(output=output, has_marks=has_marks, is_binary=True)
    engine = FakeEngine(output_format=output.format)
    records: list[Record] = []
    call = new_call(
        engine,
        carrier=carrier,
        leg=leg,
        put=records.append,
        config=HostConfig(deadlines=Deadlines(carrier_silence=1_000, last_word=0.1, media_return=0.1)),
        clock=lambda: time.monotonic() * speed,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await call.serve_media(AsgiSocket(receive, send))

    async with (
        serve_app(app) as url,
        anyio.create_task_group() as tasks,
        connect(url.replace("http", "ws"), max_queue=None) as media,
    ):
        tasks.start_soon(call.run)
        end = FarEnd(media, output, keeps=keeps, speed=speed)
        end.engine, end.records = engine, records
        tasks.start_soon(end.run)
        yield end, await engine.session()
        await end.say("stop")
        await call.wait()
