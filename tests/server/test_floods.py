"""Floods of calls that are none: real callers are taken all the same."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from patter_core.agent import Agent
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.events import CallEnded
from patter_core.server.host import CallHost
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import Transfer
from patter_core.testing.fakes import FakeSocket
from patter_core.webhook import Accept, Reject
from tests.server.test_router import Scene, accepted, routed

pytestmark = pytest.mark.anyio

FEW = Limits(calls_per_second=0.001, drain=0.01)  # one call, then none for a long time


def leg(number: int) -> Leg:
    return Leg(carrier="fake", call_id=f"leg-{number}")


def routing(scene: Scene, *agents: Agent | Reject | Transfer | None) -> CallHost:
    """The scene's host, whose calls are routed to these in turn, then to its agent."""
    turns = iter(agents)

    async def route(_leg: Leg) -> Agent | Reject | Transfer | None:
        return next(turns, scene.agent)

    scene.host.routers["fake"].route = route
    return scene.host


async def test_calls_that_are_not_routed_leave_the_rate_to_those_that_are() -> None:
    scene = Scene(limits=FEW)
    host = routing(scene, *[None, Reject()] * 50)
    async with scene.running():
        for number in range(100):
            assert await routed(host, leg(number)).arrived() == Reject()
        await accepted(host, leg(100))
        assert await routed(host, leg(101)).arrived() == Reject(reason="busy")


async def test_a_call_that_is_routed_to_another_number_counts() -> None:
    scene = Scene(limits=FEW)
    host = routing(scene, Transfer("+15550003333"))
    async with scene.running():
        assert isinstance(await routed(host, leg(1)).arrived(), Transfer)
        assert await routed(host, leg(2)).arrived() == Reject(reason="busy")


async def test_a_call_that_arrives_again_counts_once() -> None:
    scene = Scene(limits=Limits(calls_per_second=2, drain=0.01), several_workers=True)
    async with scene.running() as host:
        for _ in range(20):
            await accepted(host, leg(1))
        await accepted(host, leg(2))


async def test_calls_without_audio_make_room_for_callers() -> None:
    limits = Limits(calls=3, drain=0.01)
    scene = Scene(limits=limits, deadlines=Deadlines(media_start=1.5, last_word=0.05))
    async with scene.running() as host:
        live = await accepted(host, leg(0))
        call = host.routers["fake"].claim(live.media_url.rsplit("/", 1)[1])
        assert call is not None
        media = FakeSocket()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.serve_media, media)
            media.say("start", "leg-0")
            await scene.sink.wait_for("media_started")
            for number in (1, 2):
                await accepted(host, leg(number))
            assert await routed(host, leg(3)).arrived() == Reject(reason="busy")  # all may still bring their audio
            await anyio.sleep(0.6)
            assert isinstance(await routed(host, leg(3)).arrived(), Accept)
            (end,) = await scene.sink.wait_for("call_ended")
            assert isinstance(end.event, CallEnded)
            assert (end.event.reason, end.event.detail) == (
                "no_media",
                "the carrier had not brought the caller's audio, and another call needed the room",
            )
            assert {one.leg.call_id for one in host.table.calls if not one.is_over} == {"leg-0", "leg-2", "leg-3"}
            media.break_off()


async def test_a_caller_who_hears_a_notice_is_no_call_without_audio() -> None:
    scene = Scene(limits=Limits(calls=2, drain=0.01), deadlines=Deadlines(media_start=0.1, last_word=0.05))
    plain = scene.agent
    async with scene.running() as host:
        scene.route = scene.agent = msgspec.structs.replace(plain, notice="This call is recorded.")
        assert (await accepted(host, leg(1))).notice == "This call is recorded."
        scene.route = scene.agent = plain
        assert (await accepted(host, leg(2))).notice == ""
        await anyio.sleep(0.06)
        await accepted(host, leg(3))
        assert {one.leg.call_id for one in host.table.calls if not one.is_over} == {"leg-1", "leg-3"}
