"""A network that is no laboratory: a proxy, an IPv6 that leads nowhere, a name server that does not answer."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from patter_core.testing.caller import Caller
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio.testing import TwilioEmulator
from tests.chaos.agents import Steady
from tests.chaos.callers import FOREVER, Callers
from tests.chaos.fleet import running_fleet
from tests.chaos.networks import Proxy, dead_address
from tests.chaos.report import note
from tests.chaos.round_trips import harmed, neighbours, parrot
from tests.chaos.worker import OTHER_NUMBER, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

NAME = "engine.test"
CALLS = 5
P99_BOUND_MS = 400
"""Seventeen calls begin at once, in the process that measures, too."""
HASTE = 1.0
"""What a busy machine may add."""
LOOPS = pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])


def port_of(engine: ElevenLabsEmulator) -> int:
    return int(engine.base_url.rpartition(":")[2])


@LOOPS
async def test_an_engine_that_only_a_proxy_reaches_is_reached(*, uvloop: bool, tmp_path: Path) -> None:
    """And the carrier's API, which is on this machine, is reached straight."""
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with (
        running_fleet(TwilioEmulator, engine, tmp_path) as fleet,
        Proxy({NAME: "127.0.0.1"}).running() as proxy,
        anyio.create_task_group() as tasks,
    ):
        fleet.engine_url = f"http://{NAME}:{port_of(engine)}"
        fleet.variables = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
        await fleet.start(Settings(uvloop=uvloop))
        callers = Callers(fleet, CALLS)
        took = await callers.talk(tasks, within=5)
        lost = callers.lost
        tasks.cancel_scope.cancel()
    assert lost == 0
    assert {target.rpartition(":")[0] for target in proxy.tunnels} == {NAME}
    note(
        f"an engine behind a proxy, {'uvloop' if uvloop else 'asyncio'}",
        tried=CALLS,
        lost=lost,
        figure=f"heard in {took:.1f} s",
    )


@LOOPS
async def test_an_address_that_leads_nowhere_costs_a_quarter_of_a_second(*, uvloop: bool, tmp_path: Path) -> None:
    engine = ElevenLabsEmulator(Behaviour(agent=Steady()))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        with dead_address(port_of(engine)) as address:
            fleet.engine_url = f"http://{NAME}:{port_of(engine)}"
            await fleet.start(Settings(uvloop=uvloop, hosts={NAME: [address, "127.0.0.1"]}))
            callers = Callers(fleet, CALLS)
            took = await callers.talk(tasks, within=5)
            lost = callers.lost
            tasks.cancel_scope.cancel()
    assert lost == 0
    assert took < 0.25 + HASTE
    note(
        f"an IPv6 address that leads nowhere, {'uvloop' if uvloop else 'asyncio'}",
        tried=CALLS,
        lost=lost,
        figure=f"heard in {took:.1f} s",
    )


@LOOPS
async def test_a_name_server_that_does_not_answer_for_one_engine_holds_up_no_other(
    *, uvloop: bool, tmp_path: Path
) -> None:
    """Fifteen calls for it; live ones are as quick as before, and new ones for another engine are heard at once."""
    engine = ElevenLabsEmulator(Behaviour(agent=parrot))
    async with running_fleet(TwilioEmulator, engine, tmp_path) as fleet, anyio.create_task_group() as tasks:
        fleet.engine_url = f"http://{NAME}:{port_of(engine)}"
        hosts = {NAME: ["127.0.0.1"], "hangs.test": []}
        worker = await fleet.start(Settings(uvloop=uvloop, hosts=hosts, hostile="http://hangs.test:1"))
        async with neighbours(fleet, worker) as others, harmed(others, worker) as harm:
            stuck = [
                fleet.carrier.place(fleet.voice_url, Caller(FOREVER, fleet.carrier.format), to_number=OTHER_NUMBER)
                for _ in range(15)
            ]
            for call in stuck:
                tasks.start_soon(call.run)
            await anyio.sleep(0.5)
            began = anyio.current_time()
            async with neighbours(fleet, worker, 2) as fresh:
                took = anyio.current_time() - began
                with anyio.fail_after(10):  # and the callers whose engine is not found are released
                    for call in stuck:
                        await call.over.wait()
                lost = fresh.lost
        tasks.cancel_scope.cancel()
    assert (lost, harm.lost) == (0, 0)
    assert harm.during.p99 < P99_BOUND_MS, str(harm)
    assert took < 1.0 + HASTE + HASTE  # a second of audio among it
    note(
        f"a name server that hangs for one engine, 15 calls for it, {'uvloop' if uvloop else 'asyncio'}",
        tried=5,
        lost=harm.lost + lost,
        figure=f"new calls heard in {took:.1f} s, {harm}",
    )
