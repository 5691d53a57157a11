"""Webhooks that come again, late or to another worker: what was recorded of a call moves it no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import ClassVar

import anyio
import pytest

from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.errors import WebhookRefused
from patter_core.events import CallEnded
from patter_core.server.host import CallHost
from patter_core.telephony.control import LegFacts, RecordingStatus
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import HangUp
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeCarrier, FakeSocket
from patter_core.webhook import Accept, Reject
from tests.polling import until
from tests.server.test_router import LEG, Scene, accepted, outbound, routed

pytestmark = pytest.mark.anyio


async def report_end(host: CallHost, accept: Accept) -> Accept:
    """What the carrier is told when it reports that the stream of that `Accept` is over."""
    outcome = await routed(host, LEG, accept.callbacks.token).stream_ended()
    assert isinstance(outcome, Accept)
    return outcome


@contextlib.asynccontextmanager
async def streaming(host: CallHost, accept: Accept, leg: str = "leg-1") -> AsyncIterator[FakeSocket]:
    """The carrier brings the stream of that `Accept`."""
    call = host.routers["fake"].claim(accept.media_url.rsplit("/", 1)[1])
    assert call is not None
    media = FakeSocket()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call.serve_media, media)
        media.say("start", leg)
        await anyio.wait_all_tasks_blocked()
        yield media
        media.break_off()


async def test_the_end_of_an_earlier_stream_is_told_again_and_moves_nothing() -> None:
    scene = Scene()
    async with scene.running() as host:
        first = await accepted(host)
        async with streaming(host, first):
            pass
        second = await report_end(host, first)
        assert await report_end(host, first) == second  # before the stream is here: the answer is given again
        async with streaming(host, second) as media:
            for _ in range(5):
                assert await report_end(host, first) == second
            await anyio.wait_all_tasks_blocked()
            assert not media.closed
            (call,) = host.table.calls
            assert call.state.value == "live"
        third = await report_end(host, second)
        assert third.media_url != second.media_url
    assert [record.event.kind for record in scene.sink.records].count("media_paused") == 2


async def test_a_stream_that_another_worker_asked_for_is_the_latest_one() -> None:
    scene = Scene(several_workers=True)
    other = scene.new_host()
    async with scene.running() as host, other.running():
        first = await accepted(host)
        async with streaming(host, first):
            pass
        second = await report_end(other, first)  # the webhook went to a worker that does not have the call
        async with streaming(host, second) as media:
            await report_end(host, first)
            await anyio.wait_all_tasks_blocked()
            assert not media.closed


async def test_the_end_of_a_stream_that_never_came_is_counted() -> None:
    scene = Scene()
    async with scene.running() as host:
        first = await accepted(host)
        second = await report_end(host, first)
        assert (await report_end(host, second)).media_url not in {first.media_url, second.media_url}


async def test_without_a_token_the_present_stream_is_meant() -> None:
    scene = Scene()
    async with scene.running() as host:
        second = await report_end(host, await accepted(host))
        outcome = await routed(host, LEG).stream_ended()
        assert isinstance(outcome, Accept)
        assert outcome.media_url != second.media_url


# --- a call that is live elsewhere ---------------------------------------------------------------------------------


class Asking(FakeCarrier):
    """A carrier that asks what is next when a stream is over."""

    asks_at_stream_end: ClassVar[bool] = True

    async def look_up(self, leg: Leg) -> LegFacts:
        if self.facts.progress is Progress.FAILED:
            raise asyncio.CancelledError
        return await super().look_up(leg)


async def without_audio(scene: Scene, host: CallHost) -> None:
    """A call that arrives at that host, where its audio never comes."""
    await accepted(host)
    await until(lambda: not len(host.table))
    (end,) = await scene.sink.wait_for("call_ended")
    assert isinstance(end.event, CallEnded)
    assert end.event.reason == "no_media"


@pytest.mark.parametrize(
    ("progress", "hung_up"),
    [(Progress.ANSWERED, 0), (Progress.RINGING, 1), (Progress.COMPLETED, 0), (Progress.FAILED, 0)],
)
async def test_a_call_whose_audio_never_came_is_hung_up_only_if_it_is_not_live(
    progress: Progress, hung_up: int
) -> None:
    carrier = Asking()
    carrier.facts = LegFacts(progress=progress)
    scene = Scene(carrier=carrier, deadlines=Deadlines(media_start=0.1))
    async with scene.running() as host:
        await without_audio(scene, host)
    assert len(carrier.hung_up) == hung_up


async def test_a_carrier_that_would_ask_nothing_is_told_to_hang_up() -> None:
    scene = Scene(deadlines=Deadlines(media_start=0.1))
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running() as host:
        await without_audio(scene, host)
    assert scene.carrier.hung_up == ["leg-1"]


async def test_a_call_that_was_dialled_here_is_hung_up_without_a_question() -> None:
    carrier = Asking()
    carrier.facts = LegFacts(progress=Progress.ANSWERED)
    scene = Scene(carrier=carrier, deadlines=Deadlines(media_start=0.1))
    async with scene.running() as host:
        await scene.dial()
        await routed(host, outbound(), scene.token).arrived()
        await until(lambda: not len(host.table))
    assert carrier.hung_up == ["out-1"]
    assert carrier.commands == ["dial out-1"]


async def test_a_worker_that_stops_hangs_no_call_up_that_is_live_elsewhere() -> None:
    carrier = Asking()
    carrier.facts = LegFacts(progress=Progress.ANSWERED)
    scene = Scene(carrier=carrier)
    async with scene.running() as host:
        await accepted(host)
    assert carrier.hung_up == []
    (end,) = await scene.sink.wait_for("call_ended")
    assert isinstance(end.event, CallEnded)
    assert end.event.reason == "host_hung_up"


async def test_a_call_that_the_host_ends_before_its_audio_is_here_is_over_when_the_carrier_asks() -> None:
    carrier = Asking()
    carrier.facts = LegFacts(progress=Progress.ANSWERED)
    scene = Scene(carrier=carrier)
    async with scene.running() as host:
        accept = await accepted(host)
        (call,) = host.table.calls
        call.hang_up(HangUp("Goodbye."))
        await until(lambda: not len(host.table))
        assert host.routers["fake"].claim(accept.media_url.rsplit("/", 1)[1]) is None
        assert await routed(host, LEG, accept.callbacks.token).stream_ended() == HangUp("Goodbye.")


async def test_a_webhook_of_a_live_call_that_is_sent_to_another_worker_leaves_the_call_as_it_is() -> None:
    carrier = Asking()
    carrier.facts = LegFacts(progress=Progress.ANSWERED)
    scene = Scene(carrier=carrier, deadlines=Deadlines(media_start=0.2))
    other = scene.new_host()
    async with scene.running() as host, other.running():
        first = await accepted(host)
        async with streaming(host, first) as media:
            await accepted(other)  # recorded, and sent again
            await until(lambda: not len(other.table))
            assert carrier.hung_up == []
            assert await routed(other, LEG).arrived() == Reject()  # and again: no other conversation for that
            await anyio.wait_all_tasks_blocked()
            assert not media.closed
        second = await report_end(other, first)  # the carrier's own: the call goes on there
        async with streaming(other, second):
            assert [call.state.value for call in other.table.calls] == ["live"]
            assert carrier.hung_up == []


# --- reports after the call ----------------------------------------------------------------------------------------


async def test_what_is_reported_again_is_recorded_once() -> None:
    scene = Scene()
    async with scene.running() as host:
        report = routed(host, LEG, (await accepted(host)).callbacks.token)
        for _ in range(3):
            for status in ("absent", "completed"):
                await report.recording_changed(RecordingStatus(recording_id="R1", status=status))
            await report.priced(Cost(Decimal(1)))
        await report.priced(Cost(Decimal(2)))
    kinds = [record.event.kind for record in scene.sink.records]
    assert (kinds.count("recording_changed"), kinds.count("call_priced")) == (2, 2)


# --- an address that nothing proves --------------------------------------------------------------------------------


async def test_without_a_proved_address_there_is_no_new_call() -> None:
    scene = Scene(limits=Limits(calls_per_second=0.001, drain=0.01))
    async with scene.running() as host:
        for _ in range(3):
            with pytest.raises(WebhookRefused, match="webhook_url"):
                await host.routers["fake"].call(LEG, "").arrived()
        first = await accepted(host)
        again = await host.routers["fake"].call(LEG, "", first.callbacks.token).arrived()  # the token has the address
        assert again == first
