"""Whose the end of a call is, between hosts that share a store: each call has one."""

from __future__ import annotations

import anyio
import pytest

from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Progress
from patter_core.testing.fakes import MemoryCallStore, MemorySink
from patter_core.webhook import Accept
from tests.polling import until
from tests.server.test_board import Asking, two_hosts
from tests.server.test_replays import streaming
from tests.server.test_router import LEG, accepted, outbound, routed

pytestmark = pytest.mark.anyio


def ends(sink: MemorySink) -> tuple[int, int]:
    kinds = [record.event.kind for record in sink.records]
    return kinds.count("call_ended"), kinds.count("call_moved")


async def test_a_short_call_whose_end_is_reported_to_the_host_that_dialled_it_has_one_end() -> None:
    async with two_hosts(store=MemoryCallStore()) as (scene, here, there):
        dialled = await scene.dial()
        async with streaming(there, await accepted(there, outbound(), scene.token), "out-1") as media:
            await routed(here, outbound(), scene.token).progressed(Progress.COMPLETED)
            assert (await dialled.wait()).reason == "moved"
            media.say("stop")
            await scene.sink.wait_for("call_ended")
        assert ends(scene.sink) == (1, 1)


async def test_a_call_that_another_host_took_over_has_one_end_wherever_it_is_reported() -> None:
    store, deadlines = MemoryCallStore(), Deadlines(media_return=5.0)
    async with two_hosts(Asking(), store=store, deadlines=deadlines) as (scene, here, there):
        accept = await accepted(here)
        async with streaming(here, accept) as lost:
            lost.break_off()
            await until(lambda: here.table.calls[0].state is State.ENGINE_READY)
            following = await routed(there, LEG, accept.callbacks.token).stream_ended()
            assert isinstance(following, Accept)
            async with streaming(there, following):
                for host in (here, there):
                    await routed(host, LEG, accept.callbacks.token).progressed(Progress.COMPLETED)
                await scene.sink.wait_for("call_ended")
                await scene.sink.wait_for("call_moved")
        assert ends(scene.sink) == (1, 1)


async def test_a_call_that_another_host_has_is_not_hung_up_by_the_one_that_dialled_it() -> None:
    async with two_hosts(store=MemoryCallStore()) as (scene, _, there):
        dialled = await scene.dial()
        async with streaming(there, await accepted(there, outbound(), scene.token), "out-1") as media:
            await dialled.hang_up()
            assert (await dialled.wait()).reason == "moved"
            assert scene.carrier.hung_up == []
            media.say("stop")
        await scene.sink.wait_for("call_ended")
        assert ends(scene.sink) == (1, 1)


@pytest.mark.parametrize("asked", ["at the deadline", "at the end of a drain"])
async def test_a_call_that_is_found_to_be_over_has_its_end_if_its_audio_came_to_no_worker(asked: str) -> None:
    async with two_hosts(store=MemoryCallStore()) as (scene, here, _):
        dialled = await scene.dial()
        scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
        (call,) = here.table.calls
        await (call.reports.look_up() if asked == "at the deadline" else call.reports.look_elsewhere())
        with anyio.fail_after(5):
            ended = await dialled.wait()
        assert ended.reason == "caller_hung_up"
        await scene.sink.wait_for("call_ended")
        assert ends(scene.sink) == (1, 0)
