"""A worker is killed in a call with an agent of parts: the caller goes on at another one, which knows all of it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import pytest

from patter_core.history import AgentSaid, HistoryItem, UserSaid
from patter_core.store import decode_lines, history_of
from patter_core.testing.network import free_port
from patter_pipeline.testing.fakes import FakeLlmEmulator, FakeSttEmulator, FakeTtsEmulator
from patter_telnyx.testing import TelnyxEmulator
from patter_twilio.testing import TwilioEmulator
from tests.chaos.balancer import Balancer
from tests.e2e.pipeline_scene import LINE, Person
from tests.polling import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WORKER = """
import asyncio, pathlib, sys
from patter_core import Patter
from patter_core.registry import Registry
from patter_pipeline.testing.fakes import FakeLlm, FakeStt, FakeTts
from tests.chaos.stores import FileStore

carrier, port, base, store, stt, llm, tts = sys.argv[1:]
phone = Patter(
    carrier=Registry.discover().carrier(carrier)(),
    phone_number="+15550001234",
    webhook_url=base,
    store=FileStore(pathlib.Path(store)),
    several_workers=True,
)
agent = phone.agent(
    stt=FakeStt(stt), llm=FakeLlm(llm), tts=FakeTts(tts), first_message="Hello there.", resume_message="Where were we?"
)
asyncio.run(phone.serve(agent, port=int(port)))
"""
ROOT = Path(__file__).parents[2]


class Scene:
    """A carrier and the services of the parts, with workers that share a store."""

    def __init__(self, carrier: TwilioEmulator | TelnyxEmulator, balancer: Balancer, folder: Path) -> None:
        self.carrier, self.balancer, self.folder = carrier, balancer, folder
        self.stt, self.llm, self.tts = FakeSttEmulator(), FakeLlmEmulator(), FakeTtsEmulator()
        self.person = Person()
        self.base = f"http://127.0.0.1:{balancer.port}"

    @contextlib.asynccontextmanager
    async def worker(self, port: int) -> AsyncIterator[anyio.abc.Process]:
        """A worker that is ready for calls."""
        name, urls = self.carrier.carrier().name, [self.stt.url, self.llm.url, self.tts.url]
        async with await anyio.open_process(
            [sys.executable, "-c", WORKER, name, str(port), self.base, str(self.folder), *urls],
            env={**os.environ, **self.carrier.environment},
            cwd=ROOT,
        ) as process:
            try:
                told = ""
                while process.stderr is not None and "Ready for calls at" not in told:
                    told += (await process.stderr.receive()).decode()
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def say(self, text: str) -> None:
        """The caller says that."""
        self.person.say(LINE[:8_000])
        await until(lambda: not self.person.frames)
        await self.stt.final(text)

    async def hears(self, text: str) -> None:
        """Waits until the caller has heard all of that, by what is kept for the next worker."""
        await until(lambda: text in self._kept())

    def _kept(self) -> list[str]:
        lines = [line for file in self.folder.iterdir() for line in file.read_bytes().splitlines(keepends=True)]
        return said(history_of(decode_lines([line for line in lines if line.endswith(b"\n")])))


def said(items: tuple[HistoryItem, ...]) -> list[str]:
    return [item.text for item in items if isinstance(item, AgentSaid | UserSaid)]


@pytest.mark.parametrize("make", [TwilioEmulator, TelnyxEmulator], ids=["twilio", "telnyx"])
async def test_a_killed_worker_loses_neither_the_caller_nor_what_was_said(
    make: type[TwilioEmulator | TelnyxEmulator], tmp_path: Path
) -> None:
    async with make() as carrier, Balancer().running() as balancer, anyio.create_task_group() as tasks:
        it = Scene(carrier, balancer, tmp_path)
        ports = [free_port(), free_port()]
        with anyio.fail_after(60):
            async with it.stt, it.llm, it.tts, it.worker(ports[0]) as first, it.worker(ports[1]):
                balancer.workers = ports[:1]
                call = carrier.place(f"{it.base}/webhooks/{carrier.carrier().name}/voice", it.person)
                tasks.start_soon(call.run)
                await it.hears("Hello there.")
                it.llm.answer("For how many?")
                await it.say("A table, please.")
                await it.hears("For how many?")
                balancer.workers = ports[1:]
                first.kill()
                await it.hears("Where were we?")
                it.llm.answer("Booked.")
                await it.say("For two.")
                await until(lambda: "Booked." in it.tts.given)
                known = it.llm.requests[-1].history
                it.person.hang_up()
                await call.over.wait()
        tasks.cancel_scope.cancel()
    assert said(known) == ["Hello there.", "A table, please.", "For how many?", "Where were we?", "For two."]
