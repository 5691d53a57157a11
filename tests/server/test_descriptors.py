"""How many calls fit into the descriptors that a process may have: the rest is told that the worker is busy."""

from __future__ import annotations

import contextlib
import logging
import resource
import socket
import sys

import anyio
import httpx
import pytest
from anyio.streams.text import TextReceiveStream

from patter_core.agent import Agent
from patter_core.call.config import HostConfig
from patter_core.call.limits import Limits
from patter_core.server import host as module
from patter_core.server.descriptors import Room, room_in
from patter_core.server.host import CallHost
from patter_core.telephony.leg import Leg
from patter_core.testing.fakes import FakeCarrier, FakeEngine
from patter_core.webhook import Accept, Reject

pytestmark = pytest.mark.anyio

TELL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from patter_core.server.descriptors import raise_limit
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""

EXHAUST = """
import os, resource, sys, anyio
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
from starlette.applications import Starlette
from patter_core.server.serving import serve_app

async def main():
    async with serve_app(Starlette()) as url:
        print(url, flush=True)
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            print("full", flush=True)
        worst, until = 0.0, anyio.current_time() + 3
        while (began := anyio.current_time()) < until:
            await anyio.sleep(0.01)
            worst = max(worst, anyio.current_time() - began)
        for one in taken:
            os.close(one)
        print(worst, flush=True)
        await anyio.sleep_forever()

anyio.run(main, backend_options={{"use_uvloop": {uvloop}}})
"""


@pytest.mark.parametrize(("descriptors", "calls"), [(64, 20), (256, 80), (1024, 416), (4096, 1760), (65_536, 32_480)])
def test_calls_have_two_and_the_rest_is_left_to_the_worker_and_its_connections(descriptors: int, calls: int) -> None:
    room = room_in(descriptors)
    assert room.calls == calls
    assert 2 * room.calls + room.connections < descriptors


async def limits_after(soft: int, hard: int) -> list[str]:
    result = await anyio.run_process([sys.executable, "-c", TELL.format(soft=soft, hard=hard)])
    return result.stdout.decode().split()


async def test_the_soft_limit_is_raised_as_far_as_it_may() -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] % (1 << 62), 4096)
    assert await limits_after(256, hard) == [str(hard), str(hard)]
    assert await limits_after(200, 200) == ["200", "200"]


async def test_calls_that_do_not_fit_are_told_that_we_are_busy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "room_in", lambda _: Room(64, calls=2, connections=8))
    agent = Agent(engine=FakeEngine())
    config = HostConfig(limits=Limits(calls=3, drain=0))

    async def route(_leg: Leg) -> Agent:
        return agent

    host = CallHost(FakeCarrier(), config=config, route=route, find_agent=lambda _name: agent)
    with caplog.at_level(logging.WARNING, "patter.host"):
        async with host.running():
            answers = [
                await host.routers["fake"]
                .call(Leg(carrier="fake", call_id=f"leg-{n}"), "http://a/webhooks/fake/voice")
                .arrived()
                for n in range(3)
            ]
            assert not host.table.is_ready
    assert [type(answer) for answer in answers] == [Accept, Accept, Reject]
    assert "Only 2 calls at once are taken, not 3" in caplog.text
    assert "ulimit -n" in caplog.text


@pytest.mark.parametrize("uvloop", [False, True])
async def test_without_a_descriptor_left_the_loop_goes_on_and_says_little(*, uvloop: bool) -> None:
    with anyio.fail_after(30), contextlib.ExitStack() as peers:
        async with await anyio.open_process([sys.executable, "-c", EXHAUST.format(uvloop=uvloop)]) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines = TextReceiveStream(process.stdout)
            url = (await lines.receive()).split()[0]
            await anyio.sleep(0.2)
            address = ("127.0.0.1", int(url.rpartition(":")[2]))
            for _ in range(40):
                peer = peers.enter_context(socket.socket())
                peer.setblocking(False)
                peer.connect_ex(address)
            said = "".join([await lines.receive()])
            while "." not in said:
                said += await lines.receive()
            worst = float(said.split()[-1])
            await anyio.sleep(1.2)  # asyncio accepts again after a second
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(url)).status_code == 404
            process.kill()
            log = b"".join([part async for part in process.stderr])
    assert worst < 0.3
    assert len(log) < 20_000
