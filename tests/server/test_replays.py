"""Webhooks that come again, late or to another worker: what was recorded of a call moves it no more."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest

from patter_core.server.host import CallHost
from patter_core.testing.fakes import FakeSocket
from patter_core.webhook import Accept
from tests.server.test_router import LEG, Scene, accepted, routed

pytestmark = pytest.mark.anyio


async def after_stream(host: CallHost, accept: Accept) -> Accept:
    """What the carrier is told when it reports that the stream of that `Accept` is over."""
    outcome = await routed(host, LEG, accept.callbacks.token).stream_ended()
    assert isinstance(outcome, Accept)
    return outcome


@contextlib.asynccontextmanager
async def streaming(host: CallHost, accept: Accept) -> AsyncIterator[FakeSocket]:
    """The carrier brings the stream of that `Accept`."""
    call = host.router.claim(accept.media_url.rsplit("/", 1)[1])
    assert call is not None
    media = FakeSocket()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call.serve_media, media.receive, media.send)
        media.say("start", "leg-1")
        await anyio.wait_all_tasks_blocked()
        yield media
        media.break_off()


async def test_the_end_of_an_earlier_stream_is_told_again_and_moves_nothing() -> None:
    scene = Scene()
    async with scene.running() as host:
        first = await accepted(host)
        async with streaming(host, first):
            pass
        second = await after_stream(host, first)
        assert await after_stream(host, first) == second  # before the stream is here: the answer is given again
        async with streaming(host, second) as media:
            for _ in range(5):
                assert await after_stream(host, first) == second
            await anyio.wait_all_tasks_blocked()
            assert not media.closed
            (call,) = host.table.calls
            assert call.state.value == "live"
        third = await after_stream(host, second)
        assert third.media_url != second.media_url
    assert [record.event.kind for record in scene.sink.records].count("media_paused") == 2


async def test_a_stream_that_another_worker_asked_for_is_the_latest_one() -> None:
    scene = Scene(several_workers=True)
    other = scene.new_host()
    async with scene.running() as host, other.running():
        first = await accepted(host)
        async with streaming(host, first):
            pass
        second = await after_stream(other, first)  # the webhook went to a worker that does not have the call
        async with streaming(host, second) as media:
            await after_stream(host, first)
            await anyio.wait_all_tasks_blocked()
            assert not media.closed


async def test_the_end_of_a_stream_that_never_came_is_counted() -> None:
    scene = Scene()
    async with scene.running() as host:
        first = await accepted(host)
        second = await after_stream(host, first)
        assert (await after_stream(host, second)).media_url not in {first.media_url, second.media_url}


async def test_without_a_token_the_present_stream_is_meant() -> None:
    scene = Scene()
    async with scene.running() as host:
        second = await after_stream(host, await accepted(host))
        outcome = await routed(host, LEG).stream_ended()
        assert isinstance(outcome, Accept)
        assert outcome.media_url != second.media_url
