"""One app, started again and again on event loops of their own, as in its tests: each time it takes calls."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect

from patter_core import Limits, Patter
from patter_core.server.serving import serve_app
from patter_core.sinks.jsonl import JsonLinesSink
from patter_core.sinks.memory import MemorySink
from patter_core.sinks.sqlite import SQLiteSink
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage, MemoryCallStore

FAKE = {"x-fake": "yes"}


class Scene:
    """A phone with all that lasts from one lifespan to the next, mounted in an app."""

    def __init__(self, folder: Path) -> None:
        self.sink = MemorySink()
        self.ends: list[str] = []
        self.carrier = FakeCarrier()
        phone = Patter(
            carrier=self.carrier,
            sinks=[self.sink, JsonLinesSink(folder / "calls.jsonl"), SQLiteSink(folder / "calls.db")],
            store=MemoryCallStore(),
            several_workers=False,
            limits=Limits(drain=0.2),
            on_call_end=lambda _call, end: self.ends.append(end.reason),
        )
        voice = phone.asgi(phone.agent(engine=FakeEngine()))

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with voice.lifespan_context(voice):
                yield

        routes = [Mount("/phone", voice)]
        self.with_lifespan = Starlette(routes=routes, lifespan=lifespan)
        self.without_lifespan = Starlette(routes=routes)

    async def call(self, app: Starlette, leg: str, *, to_its_end: bool) -> None:
        with anyio.fail_after(15):
            async with serve_app(app) as url, httpx.AsyncClient(base_url=url, headers=FAKE, trust_env=False) as client:
                answer = await client.post("/phone/webhooks/fake/voice", content=leg)
                assert answer.status_code == 200
                async with connect(answer.text, additional_headers=FAKE) as media:
                    started = sum(record.event.kind == "media_started" for record in self.sink.records)
                    await media.send(msgspec.json.encode(FakeMessage("start", leg)).decode())
                    await self.sink.wait_for("media_started", started + 1)
                    if to_its_end:
                        await media.send(msgspec.json.encode(FakeMessage("stop")).decode())
                        await self.sink.wait_for("call_ended", started + 1)


@pytest.mark.parametrize("to_its_end", [True, False], ids=["ended before", "live at the end"])
def test_each_time_it_takes_calls(*, to_its_end: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for number in range(3):

        async def once(leg: str = f"leg-{number}") -> None:
            await scene.call(scene.with_lifespan, leg, to_its_end=to_its_end)

        anyio.run(once)
    assert scene.ends == ["caller_hung_up" if to_its_end else "host_hung_up"] * 3
    assert sum(record.event.kind == "call_ended" for record in scene.sink.records) == 3


def test_without_a_lifespan_too_and_with_one_afterwards(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for number, app in enumerate([scene.without_lifespan, scene.without_lifespan, scene.with_lifespan]):

        async def once(app: Starlette = app, leg: str = f"leg-{number}") -> None:
            await scene.call(app, leg, to_its_end=True)

        anyio.run(once)
    assert scene.ends == ["caller_hung_up"] * 3
