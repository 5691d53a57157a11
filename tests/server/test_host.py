"""The life of a worker: it may be drained twice, within the time of one drain."""

from __future__ import annotations

import time

import anyio
import pytest

from patter_core.agent import Agent, CallOptions
from patter_core.call.config import HostConfig
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CallLimitReached
from patter_core.server import host as module
from patter_core.server.host import CallHost
from patter_core.telephony.control import DialRequest
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine

pytestmark = pytest.mark.anyio


class SlowToDial(FakeCarrier):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = anyio.Event()

    async def dial(self, request: DialRequest) -> str:
        await self.answer.wait()
        return await super().dial(request)


def new_host(carrier: FakeCarrier, drain: float) -> tuple[CallHost, Agent]:
    agent = Agent(engine=FakeEngine())
    config = HostConfig(limits=Limits(drain=drain, flush=0.1), deadlines=Deadlines(last_word=0.1))

    async def route(_leg: Leg) -> Agent:
        return agent

    return CallHost(carrier, config=config, route=route, find_agent=lambda _name: agent), agent


async def dial(host: CallHost, agent: Agent) -> None:
    with pytest.raises(CallLimitReached, match="stopped"):
        await host.dialer.dial(
            agent=agent,
            to_number="+15550001111",
            callers={"fake": "+15550002222"},
            base="https://phone.example",
            ring_timeout=5,
            options=CallOptions(),
        )


async def test_a_second_drain_has_the_time_that_the_first_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_END_MARGIN", 0.1)
    carrier = SlowToDial()
    host, agent = new_host(carrier, drain=1.0)
    async with anyio.create_task_group() as tasks:
        async with host.running():
            tasks.start_soon(dial, host, agent)
            await anyio.wait_all_tasks_blocked()
            began = time.monotonic()
            await host.drain()
            first = time.monotonic() - began
        both = time.monotonic() - began
        carrier.answer.set()
    assert first >= 1.0
    assert both - first < 0.9
    assert carrier.hung_up == ["out-1"]  # which was dialled after all


async def test_a_worker_that_starts_again_has_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_END_MARGIN", 0.0)
    carrier = SlowToDial()
    host, agent = new_host(carrier, drain=0.2)
    for _ in range(2):
        carrier.answer = anyio.Event()
        async with anyio.create_task_group() as tasks:
            async with host.running():
                tasks.start_soon(dial, host, agent)
                await anyio.wait_all_tasks_blocked()
                began = time.monotonic()
                await host.drain()
                assert time.monotonic() - began >= 0.2
            carrier.answer.set()
