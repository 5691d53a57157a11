"""A phone with its page, and what tests hear of its calls: the caller at the engine, the agent in the page."""

from __future__ import annotations

import base64
import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import numpy as np
import numpy.typing as npt
from playwright.async_api import BrowserContext, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from patter_browser import Browser
from patter_core import Agent, Patter
from patter_core.audio import AudioChunk, AudioFormat, Encoding
from patter_core.server.serving import serve_app
from patter_core.testing.fakes import FakeEngine, FakeSession, MemorySink
from tests.browser.chromium import Watched

__all__ = [
    "FORMAT",
    "LISTEN",
    "RATE",
    "RAW_MICROPHONE",
    "BrowserPhone",
    "Samples",
    "heard_in_page",
    "page_of",
    "samples_of",
    "serving",
    "write_wav",
]

RATE = 24_000
FORMAT = AudioFormat(Encoding.PCM16, RATE)
Samples = npt.NDArray[np.float64]

_TAP = """
registerProcessor('tap', class extends AudioWorkletProcessor {
  constructor() { super(); this.kept = []; }
  process([input]) {
    this.kept.push(...(input[0] ?? new Float32Array(128)));
    if (this.kept.length >= 1024) { this.port.postMessage(new Float32Array(this.kept)); this.kept = []; }
    return true;
  }
});
"""
LISTEN = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    const heard = (window.heard = { context: this.context, from: null, samples: [] });
    this.context.audioWorklet.addModule('/tap.js').then(() => {
      const tap = new AudioWorkletNode(this.context, 'tap', { numberOfOutputs: 0 });
      tap.port.onmessage = ({ data }) => {
        heard.from ??= this.context.currentTime - data.length / this.context.sampleRate;
        heard.samples.push(...data);
      };
      connect.call(this, tap);
    });
  }
  return connect.call(this, to, ...rest);
};
"""
"""Listens to what a page plays, sample by sample: behind the page's own worklet, as the loudspeaker does."""
_ALL = """
() => {
  const bytes = new Uint8Array(new Float32Array(heard.samples).buffer);
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}
"""
RAW_MICROPHONE = "try { localStorage.setItem('patter-cleans', 'false'); } catch { /* about:blank has no storage */ }"
"""Noise suppression would change what the file of the fake microphone says."""


class BrowserPhone:
    """A phone that is served with its page.

    Args:
        phone: the phone.
        url: of the page.
        engine: of its agent.
        sink: gets all records.
    """

    def __init__(self, phone: Patter, url: str, engine: FakeEngine, sink: MemorySink) -> None:
        self.phone = phone
        self.url = url
        self.engine = engine
        self.sink = sink

    async def open(
        self, chromium: Watched, *, script: str = "", context: BrowserContext | None = None, microphone: bool = True
    ) -> Page:
        """Opens the page, and listens to it: see `Watched.page`."""
        return await chromium.page(self.url, script=LISTEN + script, context=context, microphone=microphone)

    async def call(self, page: Page, number: int = 0) -> FakeSession:
        """Calls from the page; returns the engine's session of the call, of that number."""
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.locator("#status")).to_have_text("Connected")
        with anyio.fail_after(10):
            return await self.engine.session(number)


async def _tap(_request: Request) -> Response:
    return Response(_TAP, media_type="text/javascript")


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[BrowserPhone]:
    """A phone and its page on a port of this machine, with an engine that the test holds. Who comes is let in."""
    engine, sink = FakeEngine(input_format=FORMAT, output_format=FORMAT), MemorySink()
    phone = Patter(carrier=Browser(), sinks=[sink])
    async with page_of(phone, phone.agent(engine=engine)) as url:
        yield BrowserPhone(phone, url, engine, sink)


@contextlib.asynccontextmanager
async def page_of(phone: Patter, agent: Agent) -> AsyncIterator[str]:
    """Serves the page of a phone; gives its address."""
    main = phone.asgi(agent)
    page = phone.app("browser", lambda _scope: "tester")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with main.lifespan_context(main):
            yield

    routes = [Mount("/phone", page), Route("/tap.js", _tap), Mount("/", main)]
    app = Starlette(routes=routes, lifespan=lifespan)
    async with serve_app(app) as url:
        yield f"{url}/phone/"


async def heard_in_page(page: Page) -> Samples:
    """Returns all that the page has played by now, silence included, from the start of its audio context on."""
    return np.frombuffer(base64.b64decode(await page.evaluate(_ALL)), np.float32).astype(np.float64)


def samples_of(chunks: list[AudioChunk]) -> Samples:
    """Returns audio as samples from -1 to 1."""
    return np.frombuffer(b"".join(chunk.data for chunk in chunks), np.int16).astype(np.float64) / 32768


def write_wav(path: Path, audio: bytes, rate: int, channels: int = 1) -> Path:
    """Writes audio of 16 bits as a file, and returns its path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(audio)
    return path
