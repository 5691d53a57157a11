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


def said(items: tuple[HistoryItem, ...]) -> list[str]:
    return [item.text for item in items if isinstance(item, AgentSaid | UserSaid)]


@pytest.mark.parametrize("make", [TwilioEmulator, TelnyxEmulator], ids=["twilio", "telnyx"])
async def test_a_killed_worker_loses_neither_the_caller_nor_what_was_said(
    make: type[TwilioEmulator | TelnyxEmulator], tmp_path: Path
) -> None:
    person = Person()
    with anyio.fail_after(60):
        async with (
            make() as carrier,
            FakeSttEmulator() as stt,
            FakeLlmEmulator() as llm,
            FakeTtsEmulator() as tts,
            Balancer().running() as balancer,
            anyio.create_task_group() as tasks,
        ):
            base = f"http://127.0.0.1:{balancer.port}"
            ports = [free_port(), free_port()]

            @contextlib.asynccontextmanager
            async def worker(port: int) -> AsyncIterator[anyio.abc.Process]:
                arguments = [carrier.carrier().name, str(port), base, str(tmp_path), stt.url, llm.url, tts.url]
                async with await anyio.open_process(
                    [sys.executable, "-c", WORKER, *arguments], env={**os.environ, **carrier.environment}, cwd=ROOT
                ) as process:
                    try:
                        yield process
                    finally:
                        with contextlib.suppress(ProcessLookupError):
                            process.kill()

            async def ready(process: anyio.abc.Process) -> None:
                told = ""
                while process.stderr is not None and "Point your number" not in told:
                    told += (await process.stderr.receive()).decode()

            async def say(text: str) -> None:
                person.say(LINE[:8_000])
                await until(lambda: not person.frames)
                await stt.final(text)

            async with worker(ports[0]) as first, worker(ports[1]) as second:
                await ready(first)
                await ready(second)
                balancer.workers = ports[:1]
                call = carrier.place(f"{base}/webhooks/{carrier.carrier().name}/voice", person)
                tasks.start_soon(call.run)
                await until(lambda: tts.given == ["Hello there."])
                llm.answer("For how many?")
                await anyio.sleep(1.0)
                await say("A table, please.")
                await until(lambda: "For how many?" in tts.given)
                await anyio.sleep(1.0)  # it was heard
                balancer.workers = ports[1:]
                first.kill()
                await until(lambda: "Where were we?" in tts.given)
                await anyio.sleep(1.0)
                llm.answer("Booked.")
                await say("For two.")
                await until(lambda: "Booked." in tts.given)
                known = llm.requests[-1].history
                person.hang_up()
                await call.over.wait()
            tasks.cancel_scope.cancel()
    assert said(known) == ["Hello there.", "A table, please.", "For how many?", "Where were we?", "For two."]
