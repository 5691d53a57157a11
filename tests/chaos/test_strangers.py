"""Sockets that anybody may open to a carrier that says in a message whose they are: they cost next to nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from patter_core.server.descriptors import raise_limit
from patter_core.testing.fakes import FakeMessage
from tests.chaos.first_message import Figures, Hello
from tests.chaos.floods import frame
from tests.chaos.report import bound, note

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.quick]

ROOT = Path(__file__).parents[2]
STRANGERS = 1_000
AT_ONCE = 50
MEMORY_BOUND = 32 * 2**20
GREETED_WITHIN_MS = 1_000.0
FAKE = {"x-fake": "yes"}


class Door:
    """The worker, as the network sees it."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self.media_url = url.replace("http", "ws") + "/media/fake"
        self.tokens: list[str] = []
        """Those that were used."""
        self._client = client

    async def figures(self) -> Figures:
        return msgspec.json.decode((await self._client.get("/figures")).content, type=Figures)

    @contextlib.asynccontextmanager
    async def call(self, leg: str) -> AsyncIterator[float]:
        """A caller who is greeted; gives after how many ms, from the webhook on."""
        began = anyio.current_time()
        answer = await self._client.post("/webhooks/fake/voice", content=leg, headers=FAKE)
        assert answer.status_code == 200
        token = answer.text.rpartition("/")[2]
        async with connect(self.media_url) as media:
            await media.send(msgspec.json.encode(Hello("start", leg, token)).decode())
            await greeting(media)
            self.tokens.append(token)
            yield (anyio.current_time() - began) * 1000


async def greeting(media: ClientConnection) -> None:
    assert msgspec.json.decode(await media.recv(), type=FakeMessage).event == "audio"


@contextlib.asynccontextmanager
async def door() -> AsyncIterator[Door]:
    """The worker, in a process of its own."""
    process = await anyio.open_process(
        [sys.executable, "-m", "tests.chaos.first_message"], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.receive()).decode().strip()
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            yield Door(url, client)
    finally:
        process.terminate()
        await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()


class Stranger:
    """A socket that opens, says its piece, and then neither reads nor closes."""

    def __init__(self, door: Door, says: str) -> None:
        self._door = door
        self._says = says.encode()
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None

    async def come(self) -> None:
        host, _, port = self._door.url.rpartition("//")[2].partition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port), limit=1_024)
        key = base64.b64encode(os.urandom(16)).decode()
        self._writer.write(
            "GET /media/fake HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert (await self._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        if self._says:
            self._writer.write(frame(self._says))

    async def is_closed(self) -> None:
        """Waits until the worker has had enough."""
        assert self._reader is not None
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(1_024):
                pass

    def go(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


def hello(number: int, used: str) -> str:
    """What the stranger of that number says: nothing, a foreign token, one that was used, or the name of a call."""
    leg = f"stranger-{number}"
    match number % 4:
        case 0:
            return ""
        case 1:
            return msgspec.json.encode(Hello("start", leg, "a" * 400)).decode()
        case 2:
            return msgspec.json.encode(Hello("start", leg, used)).decode()
        case _:
            return msgspec.json.encode(Hello("start", leg)).decode()


def memory(process: int, what: str) -> int:
    """Bytes: VmRSS is what it has, VmHWM what it had at most."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


def forget_peak(process: int) -> None:
    """From now on, its peak is what it has now."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


async def test_a_thousand_strangers_cost_nothing_and_callers_among_them_are_greeted() -> None:
    raise_limit()
    greeted = list[float]()
    with anyio.fail_after(90):
        async with door() as here, here.call("first"):
            process = (await here.figures()).process
            before = memory(process, "VmRSS")
            forget_peak(process)
            strangers = [Stranger(here, hello(number, here.tokens[0])) for number in range(STRANGERS)]
            for start in range(0, STRANGERS, AT_ONCE):
                async with anyio.create_task_group() as tasks:
                    for stranger in strangers[start : start + AT_ONCE]:
                        tasks.start_soon(stranger.come)
                    async with here.call(f"caller-{start}") as took:
                        greeted.append(took)
            for stranger in strangers:
                await stranger.is_closed()
            grown = memory(process, "VmHWM") - before
            figures = await here.figures()
            for stranger in strangers:
                stranger.go()
    callers = 1 + len(greeted)
    worst = max(greeted)
    note(
        "sockets of strangers, and callers among them",
        tried=STRANGERS,
        lost=figures.opened - callers,
        figure=f"memory +{grown / 2**20:.1f} MiB, greeted within {worst:.0f} ms",
    )
    assert (figures.opened, figures.asked) == (callers, callers)
    assert grown <= MEMORY_BOUND
    assert worst <= bound(GREETED_WITHIN_MS)
