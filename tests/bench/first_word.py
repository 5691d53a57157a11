"""From the stream's start to the agent's first word, without and with a conversation that was opened ahead.

`python -m tests.bench.first_word`: an engine that takes 300 ms to connect, a stream that starts 300 ms after the
webhook.
Real sockets, one process: what is waited for is the peers, and the machine is idle meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click
import httpx
import msgspec
import uvloop

from patter_core.audio import AudioFormat
from patter_core.call.limits import Limits
from patter_core.observe.printing import Printer, Table
from patter_core.patter import Patter
from patter_core.server.serving import serve_app
from patter_elevenlabs import wire
from patter_elevenlabs.engine import ElevenLabsConvAI
from tests.bench.lean import LeanSocket, listen
from tests.bench.measure import Latency
from tests.bench.vendor import Said, Vendor
from tests.bench.vendors import VENDORS
from tests.bench.voice import Voice

__all__ = ["FirstWords", "measure"]


class FirstWords(msgspec.Struct, frozen=True):
    """Times from the stream's start to the agent's first audio."""

    cold: Latency
    """Where the engine is asked when the stream starts."""
    prewarmed: Latency
    """Where it was asked when the call was announced."""
    left_open: int
    """Conversations that are still there when all calls are over."""


class SlowEngine:
    """Conversations that are ready after a while, and speak at once then."""

    def __init__(self, connect: float, format: AudioFormat) -> None:
        self.open = 0
        self._connect = connect
        self._format = str(format)
        self._word = Voice(format).frame(0)

    def accept(self, socket: LeanSocket) -> None:
        self.open += 1
        socket.on_text = lambda _initiation: self._initiated(socket)
        socket.on_closed = self._closed

    def _initiated(self, socket: LeanSocket) -> None:
        socket.on_text = lambda _message: None
        asyncio.get_running_loop().call_later(self._connect, self._speak, socket)

    def _speak(self, socket: LeanSocket) -> None:
        event = wire.MetadataEvent(
            conversation_id="conv_1", agent_output_audio_format=self._format, user_input_audio_format=self._format
        )
        socket.send(msgspec.json.encode(wire.Metadata(event)))
        word = f'{{"type":"audio","audio_event":{{"audio_base_64":"{self._word}","event_id":1}}}}'
        socket.send(word.encode())

    def _closed(self) -> None:
        self.open -= 1


async def measure(carrier: str, *, calls: int, connect: float, stream_after: float) -> FirstWords:
    """Place calls one after the other.

    Args:
        carrier: which vendor's.
        calls: of each kind.
        connect: seconds that the engine takes.
        stream_after: seconds from the webhook to the stream.
    """
    vendor = VENDORS[carrier]()
    engine = SlowEngine(connect, vendor.format)
    server, port = await listen(engine.accept)
    found: list[Latency] = []
    async with server, vendor.api() as api_url, httpx.AsyncClient(trust_env=False) as client:
        for prewarm in (0, 50):
            phone = Patter(carrier=vendor.carrier(api_url), limits=Limits(prewarm=prewarm))
            agent = phone.agent(engine=ElevenLabsConvAI("key", "agent", base_url=f"http://127.0.0.1:{port}"))
            async with serve_app(phone.asgi(agent)) as url:
                voice_url = f"{url}/webhooks/{carrier}/voice"
                times = [await _first_word(vendor, client, voice_url, stream_after) for _ in range(calls)]
            found.append(Latency.of(times))
    return FirstWords(cold=found[0], prewarmed=found[1], left_open=engine.open)


async def _first_word(vendor: Vendor, client: httpx.AsyncClient, voice_url: str, stream_after: float) -> float:
    """One call; gives ms."""
    placed = await vendor.place(client, voice_url, stream_after)
    heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def take(message: bytes) -> None:
        if placed.stream.read(message)[0] is Said.AUDIO and not heard.done():
            heard.set_result(time.perf_counter())

    def take_audio(_audio: bytes) -> None:
        if not heard.done():
            heard.set_result(time.perf_counter())

    placed.socket.on_text = take
    placed.socket.on_binary = take_audio
    began = time.perf_counter()
    for message in placed.stream.opening():
        placed.socket.send(msgspec.json.encode(message))
    word_at = await asyncio.wait_for(heard, 10)
    placed.socket.on_text = placed.socket.on_binary = lambda _message: None
    last = placed.stream.stop()
    if last is not None:
        placed.socket.send(msgspec.json.encode(last))
    placed.socket.close()
    await vendor.hung_up(client, voice_url, placed.stream)
    await asyncio.wait_for(placed.socket.closed.wait(), 10)
    return (word_at - began) * 1000


@click.command()
@click.option("--calls", default=30, show_default=True, help="Of each kind.")
@click.option("--carrier", type=click.Choice(list(VENDORS)), default="twilio", show_default=True)
@click.option("--connect", default=0.3, show_default=True, help="Seconds that the engine takes.")
@click.option("--stream-after", default=0.3, show_default=True, help="Seconds from the webhook to the stream.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there.")
def main(*, calls: int, carrier: str, connect: float, stream_after: float, json_file: Path | None) -> None:
    """Measure how long a caller waits for the agent's first word."""
    words = uvloop.run(measure(carrier, calls=calls, connect=connect, stream_after=stream_after))
    rows = [
        (name, *(f"{value:.1f} ms" for value in (latency.p50, latency.p99, latency.most)))
        for name, latency in (("asked when the stream starts", words.cold), ("asked at the webhook", words.prewarmed))
    ]
    Printer().table(Table(("the agent's first audio after the stream's start", "p50", "p99", "max"), rows))
    if json_file is not None:
        json_file.write_bytes(msgspec.json.encode(words))


if __name__ == "__main__":
    main()
