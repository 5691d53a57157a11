"""A hang-up that the carrier does not take is asked for again, until the leg is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import ClassVar

import anyio
import pytest

from patter_core.errors import CallLimitReached, CarrierRequestFailed
from patter_core.server.hang_ups import HangUps
from patter_core.server.host import CallHost
from patter_core.telephony.control import DialRequest, LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.fakes import FakeCarrier
from patter_core.webhook import Accept
from tests.polling import until
from tests.server.test_replays import streaming
from tests.server.test_router import LEG, Scene, accepted, routed

pytestmark = pytest.mark.anyio


class Away(FakeCarrier):
    """A carrier whose API fails for the next hang-ups."""

    asks_at_stream_end: ClassVar[bool] = True

    def __init__(self, *failures: BaseException) -> None:
        super().__init__()
        self.failures = list(failures)
        self.asked: list[str] = []
        self.facts = LegFacts(progress=Progress.ANSWERED)

    async def hang_up(self, leg: Leg) -> None:
        self.asked.append(leg.call_id)
        if self.failures:
            raise self.failures.pop(0)
        await super().hang_up(leg)


def refused(times: int) -> list[CarrierRequestFailed]:
    return [CarrierRequestFailed("The fake carrier is away.", status=503)] * times


async def ended(host: CallHost, final_action: HangUp | Transfer) -> Accept:
    """A call that the host has ended, with what the carrier was told of it before."""
    accept = await accepted(host)
    (call,) = host.table.calls
    async with streaming(host, accept):
        call.hang_up(final_action)
        await until(lambda: not len(host.table))
    return accept


@contextlib.asynccontextmanager
async def running(carrier: Away, *, tries: int = 8) -> AsyncIterator[HangUps]:
    hang_ups = HangUps(carrier, tries=tries, first_pause=0.01)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang_ups.run)
            await anyio.wait_all_tasks_blocked()
            yield hang_ups
            tasks.cancel_scope.cancel()


async def test_it_is_tried_until_the_carrier_takes_it() -> None:
    carrier = Away(*refused(3))
    async with running(carrier) as hang_ups:
        hang_ups.want(LEG)
        hang_ups.want(LEG)
        await until(lambda: not len(hang_ups))
    assert (carrier.asked, carrier.hung_up) == (["leg-1"] * 4, ["leg-1"])


async def test_what_comes_out_of_a_carrier_ends_no_other_leg() -> None:
    carrier = Away(asyncio.CancelledError(), SystemExit(3), LookupError())
    async with running(carrier) as hang_ups:
        hang_ups.want(LEG)
        hang_ups.want(Leg(carrier="fake", call_id="leg-2"))
        await until(lambda: not len(hang_ups))
    assert sorted(carrier.hung_up) == ["leg-1", "leg-2"]


async def test_a_leg_that_is_over_is_asked_about_no_more() -> None:
    carrier = Away(*refused(100))
    carrier.facts = LegFacts(progress=Progress.COMPLETED)
    async with running(carrier) as hang_ups:
        hang_ups.want(LEG)
        await until(lambda: not len(hang_ups))
    assert carrier.asked == ["leg-1"]


async def test_a_leg_is_given_up_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    carrier = Away(*refused(100))
    async with running(carrier, tries=3) as hang_ups:
        hang_ups.want(LEG)
        await until(lambda: not len(hang_ups))
    assert len(carrier.asked) == 3
    assert [record.levelname for record in caplog.records if "given up" in record.message] == ["ERROR"]


async def test_many_legs_are_asked_about_at_once() -> None:
    class Slow(Away):
        async def hang_up(self, leg: Leg) -> None:
            await anyio.sleep(0.2)
            await super().hang_up(leg)

    carrier = Slow()
    async with running(carrier) as hang_ups:
        began = anyio.current_time()
        for number in range(40):
            hang_ups.want(Leg(carrier="fake", call_id=f"leg-{number}"))
        await until(lambda: not len(hang_ups))
        assert anyio.current_time() - began < 3.0  # one after the other it would be 8 s


async def test_when_the_worker_stops_it_is_tried_once_more() -> None:
    scene = Scene(carrier=Away(*refused(1)))
    async with scene.running() as host:
        await ended(host, HangUp())
        assert scene.carrier.hung_up == []
    assert scene.carrier.hung_up == ["leg-1"]


async def test_a_carrier_that_does_not_answer_keeps_no_worker_from_stopping(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Deaf(Away):
        async def hang_up(self, leg: Leg) -> None:
            if self.asked:
                await anyio.sleep_forever()
            await super().hang_up(leg)

    hang_ups = HangUps(Deaf(*refused(1)))
    hang_ups.want(LEG)
    with anyio.fail_after(10), caplog.at_level(logging.ERROR):
        hang_ups.want(Leg(carrier="fake", call_id="leg-2"))
        await hang_ups.drain()
    assert len(hang_ups) == 0
    assert "given up" in caplog.text


async def test_a_leg_whose_end_the_carrier_has_reported_is_let_alone() -> None:
    carrier = Away(*refused(1))
    scene = Scene(carrier=carrier)
    async with scene.running() as host:
        accept = await ended(host, HangUp())
        await routed(host, LEG, accept.callbacks.token).progressed(Progress.COMPLETED)
    assert (carrier.asked, carrier.hung_up) == (["leg-1"], [])


@pytest.mark.parametrize("final_action", [HangUp("Goodbye."), Transfer("+15550003333")])
async def test_a_leg_whose_carrier_carries_out_the_final_action_is_let_alone(final_action: HangUp | Transfer) -> None:
    carrier = Away(*refused(1))
    carrier.refusals = 1
    scene = Scene(carrier=carrier)
    async with scene.running() as host:
        accept = await ended(host, final_action)
        assert await routed(host, LEG, accept.callbacks.token).stream_ended() == final_action
    assert (carrier.asked, carrier.hung_up) == (["leg-1"], [])


async def test_a_carrier_that_is_told_to_hang_up_may_fail_again() -> None:
    scene = Scene(carrier=Away(*refused(1)))
    async with scene.running() as host:
        accept = await ended(host, HangUp())
        assert await routed(host, LEG, accept.callbacks.token).stream_ended() == HangUp()
    assert scene.carrier.hung_up == ["leg-1"]


@pytest.mark.parametrize("fault", [None, LookupError()])
async def test_a_call_that_is_dialled_until_after_the_worker_has_stopped_is_hung_up(fault: Exception | None) -> None:
    carrier = Away(*([] if fault is None else [fault]))
    scene = Scene(carrier=carrier)
    dialling, stopped = anyio.Event(), anyio.Event()

    async def slowly(_request: DialRequest, _call_id: str) -> None:
        dialling.set()
        await stopped.wait()

    async def dial() -> None:
        with pytest.raises(CallLimitReached, match="stopped"):
            await scene.dial()

    carrier.on_dial = slowly
    async with anyio.create_task_group() as tasks:
        async with scene.running():
            tasks.start_soon(dial)
            await dialling.wait()
        stopped.set()
    assert carrier.asked == ["out-1"]
