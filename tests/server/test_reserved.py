"""Calls that were taken by their webhook have a place each, until their audio is here, or is known not to come."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from patter_core.call.call import Call
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.server.host import CallHost
from patter_core.server.reserved import ReservedCalls
from patter_core.telephony.leg import Progress
from patter_core.telephony.outcome import Transfer
from patter_core.testing.fakes import MemoryCallStore
from patter_core.webhook import Accept, Reject
from tests.polling import until
from tests.server.test_board import Pair, two_hosts
from tests.server.test_floods import leg, routing
from tests.server.test_router import Scene, accepted, outbound, routed

pytestmark = pytest.mark.anyio

BUSY = Reject(reason="busy")


def shared(calls: int, *, media_start: float = 30.0) -> Scene:
    """A worker among several, with that limit."""
    return Scene(
        limits=Limits(calls=calls, drain=0.01),
        several_workers=True,
        deadlines=Deadlines(media_start=media_start, last_word=0.05),
    )


def stream_comes(host: CallHost, accept: Accept) -> Call:
    """The carrier brings the audio of that call to this worker."""
    call = host.routers["fake"].claim(accept.token)
    assert call is not None
    return call


async def test_of_a_burst_no_more_calls_are_taken_than_the_limit_says() -> None:
    async with shared(4).running() as host:
        answers = [await routed(host, leg(number)).arrived() for number in range(30)]
        assert [isinstance(answer, Accept) for answer in answers] == [True] * 4 + [False] * 26
        assert answers[4:] == [BUSY] * 26
        assert (host.table.is_ready, len(host.table)) == (False, 0)  # none of them is a call here yet


async def test_a_call_whose_audio_is_here_counts_once() -> None:
    async with shared(2).running() as host:
        first, _ = await accepted(host, leg(1)), await accepted(host, leg(2))
        call = stream_comes(host, first)
        assert await routed(host, leg(3)).arrived() == BUSY
        call.hang_up()
        await until(lambda: not len(host.table))
        await accepted(host, leg(3))
        assert await routed(host, leg(4)).arrived() == BUSY


async def test_a_stream_of_a_call_that_another_worker_took_is_taken_beyond_the_limit_and_counts() -> None:
    scene = shared(1)
    other = scene.new_host()
    async with scene.running() as host, other.running():
        call = stream_comes(host, await accepted(host, leg(1)))
        assert stream_comes(host, await accepted(other, leg(2))) is not call
        assert len(host.table) == 2
        call.hang_up()
        await until(lambda: len(host.table) == 1)
        assert await routed(host, leg(3)).arrived() == BUSY


async def test_a_call_that_ends_before_its_audio_is_here_leaves_its_place() -> None:
    async with shared(1).running() as host:
        await accepted(host, leg(1))
        await routed(host, leg(1)).progressed(Progress.RINGING)
        assert not host.table.is_ready
        await routed(host, leg(1)).progressed(Progress.CANCELED)
        await accepted(host, leg(2))


async def test_a_place_is_kept_as_long_as_audio_may_take_and_not_longer() -> None:
    scene = shared(1, media_start=1.2)
    async with scene.running() as host:
        await accepted(host, leg(1))
        assert await routed(host, leg(2)).arrived() == BUSY
        await anyio.sleep(0.45)  # more than a third of it
        scene.route = scene.agent = msgspec.structs.replace(scene.agent, notice="This call is recorded.")
        assert (await accepted(host, leg(2))).notice
        await anyio.sleep(0.45)
        assert await routed(host, leg(3)).arrived() == BUSY  # the carrier says the notice first


async def test_a_call_that_arrives_again_has_its_place() -> None:
    async with shared(1).running() as host:
        for _ in range(3):
            await accepted(host, leg(1))
        assert await routed(host, leg(2)).arrived() == BUSY
        await routed(host, leg(1)).progressed(Progress.COMPLETED)
        await accepted(host, leg(2))


async def test_a_webhook_that_is_sent_again_keeps_no_place_for_ever() -> None:
    async with shared(1, media_start=0.6).running() as host:
        await accepted(host, leg(1))
        await anyio.sleep(0.3)
        for _ in range(3):
            await accepted(host, leg(1))
        await accepted(host, leg(2))


async def test_a_call_that_no_agent_takes_has_no_place() -> None:
    scene = shared(1)
    host = routing(scene, None, Reject(), Transfer("+15550003333"))
    async with scene.running():
        for number in range(3):
            assert not isinstance(await routed(host, leg(number)).arrived(), Accept)
        await accepted(host, leg(3))


async def test_a_call_that_a_lost_worker_had_has_a_place_where_the_carrier_asks() -> None:
    scene = shared(1)
    other = scene.new_host()
    async with scene.running() as host, other.running():
        first = await accepted(other, leg(1))
        moved = await routed(host, leg(1), first.callbacks.token).stream_ended()
        assert isinstance(moved, Accept)
        assert isinstance(await routed(host, leg(1), first.callbacks.token).stream_ended(), Accept)
        assert await routed(host, leg(2)).arrived() == BUSY
        call = stream_comes(host, moved)
        call.hang_up()
        await until(lambda: not len(host.table))
        await accepted(host, leg(2))


async def test_a_dialled_call_counts_where_it_was_dialled_and_nowhere_else() -> None:
    scene = shared(1)
    other = scene.new_host()
    async with scene.running() as host, other.running():
        dialled = await scene.dial()
        assert not host.table.is_ready
        await routed(other, outbound(), scene.token).arrived()
        assert other.table.is_ready
        await dialled.hang_up()


async def test_a_call_whose_audio_came_to_another_worker_of_the_server_leaves_its_place() -> None:
    async with Pair.running(calls=2) as pair:
        here, there = pair.here, pair.there
        first, second = await accepted(here, leg(1)), await accepted(here, leg(2))
        call = stream_comes(there, first)
        await accepted(here, leg(3))  # without room, it looks by itself
        assert await routed(here, leg(4)).arrived() == BUSY
        await accepted(there, leg(5))
        assert await routed(there, leg(6)).arrived() == BUSY  # where the first one is
        # The carrier asks here what follows: that stream is waited for, though one came to the other worker before.
        await routed(here, leg(2)).progressed(Progress.CANCELED)
        assert isinstance(await routed(here, leg(1), first.callbacks.token).stream_ended(), Accept)
        pair.look()
        assert not here.table.is_ready
        assert second.call_id not in {one.call_id for one in here.table.reserved}
        call.hang_up()


async def test_a_call_whose_end_is_reported_to_another_worker_of_the_server_leaves_its_place() -> None:
    async with Pair.running(calls=1) as pair:
        here, there = pair.here, pair.there
        await accepted(here, leg(1))
        await routed(there, leg(2)).progressed(Progress.CANCELED)
        await routed(there, leg(1)).progressed(Progress.RINGING)
        pair.look()
        assert await routed(here, leg(3)).arrived() == BUSY
        await routed(there, leg(1)).progressed(Progress.CANCELED)
        pair.look()
        await accepted(here, leg(3))


async def test_a_call_whose_audio_came_to_another_host_leaves_its_place_by_the_store() -> None:
    deadlines = Deadlines(media_start=60.0, last_word=0.05)
    async with two_hosts(deadlines=deadlines, store=MemoryCallStore(), calls=1) as (_, here, there):
        call = stream_comes(there, await accepted(here, leg(1)))
        assert await routed(here, leg(2)).arrived() == BUSY
        await until(lambda: here.table.is_ready)
        assert not there.table.is_ready
        call.hang_up()


def test_a_later_stream_of_the_same_call_is_reserved_anew() -> None:
    reserved = ReservedCalls()
    reserved.add(leg(1), "call-1", streams=0, until=2.0)
    reserved.add(leg(1), "call-1", streams=0, until=9.0)
    assert (reserved.count(1.0), reserved.count(2.5)) == (1, 0)
    reserved.add(leg(1), "call-1", streams=0, until=9.0)
    assert reserved.count(2.5) == 0
    reserved.add(leg(1), "call-1", streams=1, until=9.0)
    assert reserved.count(2.5) == 1
    assert [one.call_id for one in reserved] == ["call-1"]
    reserved.note_stream(leg(1), 1)  # the one before
    assert reserved.count(2.5) == 1
    reserved.note_stream(leg(1), 2)
    assert reserved.count(2.5) == 0
