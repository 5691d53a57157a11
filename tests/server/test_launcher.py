"""A call that is started: its bill begins with what is known then, and its end ends no other one."""

from __future__ import annotations

import anyio
import pytest

from patter_core.agent import Agent, CallOptions
from patter_core.call.config import HostConfig
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.server.host import CallHost
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.testing.fakes import FakeCarrier, FakeEngine

pytestmark = pytest.mark.anyio

AGENT = Agent(engine=FakeEngine())


def host_on(carrier: FakeCarrier) -> CallHost:
    config = HostConfig(limits=Limits(drain=0.1, flush=0.1), deadlines=Deadlines(last_word=0.1))

    async def route(_leg: Leg) -> Agent:
        return AGENT

    return CallHost(carrier, config=config, route=route, find_agent=lambda _name: AGENT)


@pytest.mark.parametrize("asked", [True, False])
async def test_a_call_whose_carrier_is_asked_who_answers_is_billed_for_that(asked: bool) -> None:
    host = host_on(FakeCarrier())
    with anyio.fail_after(10):
        async with host.running():
            await host.dialer.dial(
                agent=AGENT,
                to_number="+15550001111",
                callers={"fake": "+15550002222"},
                base="https://phone.example",
                ring_timeout=5,
                options=CallOptions(machine_detection=asked),
            )
            (call,) = host.table.calls
            assert call.context.meter.usage(0.0, Direction.OUTBOUND).machine_detection is asked


async def test_a_call_whose_leg_cannot_be_ended_ends_no_other_one(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeCarrier):
        @property
        def stream_end_is_call_end(self) -> bool:  # type: ignore[override] # a plugin that works it out
            raise SystemExit(1)

    host = host_on(Broken())
    with anyio.fail_after(10):
        async with host.running():
            for number in (1, 2):
                leg = Leg(carrier="fake", call_id=f"leg-{number}")
                await host.routers["fake"].call(leg, "https://phone.example/webhooks/fake/voice").arrived()
            first, second = host.table.calls
            first.reports.note_progress(Progress.COMPLETED)
            first.context.leg_is_over = False
            await first.wait()
            assert not second.is_over
    assert "its leg could not be ended" in caplog.text
