"""The desk: calls that we make, what carriers say early, late or twice, and what comes after a stream."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

import anyio
import pytest

from patter_core.agent import Agent, CallOptions
from patter_core.call.handle import OutboundCall
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CallLimitReached, CarrierRequestFailed, ConfigurationError
from patter_core.events import CallPriced, RecordingChanged
from patter_core.server.host import CallHost
from patter_core.server.limits import Limits
from patter_core.telephony.control import DialRequest, RecordingStatus
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSocket, MemorySink
from patter_core.webhook import Accept, Reject

pytestmark = pytest.mark.anyio

URL = "https://phone.example/webhooks/fake/voice"


class Scene:
    def __init__(
        self,
        *,
        route: Agent | Reject | Transfer | None = None,
        limits: Limits | None = None,
        shared: bool = False,
    ) -> None:
        self.shared = shared
        self.carrier = FakeCarrier()
        self.sink = MemorySink()
        self.engine = FakeEngine()
        self.agent = Agent(engine=self.engine)
        self.limits = limits or Limits(drain=0.01, reconnects=2)
        self.route = route or self.agent
        self.host = self.new_host()

    def new_host(self) -> CallHost:
        return CallHost(
            carrier=self.carrier,
            sinks=[self.sink],
            route=lambda _leg: self.route,
            find_agent=lambda _name: self.agent,
            limits=self.limits,
            shared=self.shared,
            deadlines=Deadlines(last_word=0.05, media_return=0.1, answer=0.1),
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[CallHost]:
        with anyio.fail_after(10):
            async with self.host.running():
                yield self.host

    async def dial(self, options: CallOptions | None = None) -> OutboundCall:
        return await self.host.dial(
            agent=self.agent,
            to_number="+15550001111",
            from_number="+15550002222",
            base="https://phone.example",
            ring_timeout=5,
            options=options or CallOptions(),
        )

    @property
    def ticket(self) -> str:
        return self.carrier.dialled[-1].callbacks.ticket


def outbound(call_id: str = "out-1") -> Leg:
    return Leg(carrier="fake", call_id=call_id, direction=Direction.OUTBOUND)


async def test_an_answer_that_comes_before_the_apis_own_is_the_same_call() -> None:
    scene = Scene()
    admissions = []

    async def answered(request: DialRequest, call_id: str) -> None:
        admissions.append(await scene.host.announce(outbound(call_id), URL, request.callbacks.ticket))

    scene.carrier.on_dial = answered
    async with scene.running() as host:
        handle = await scene.dial(CallOptions(first_message="Hi."))
        assert await handle.wait_answered()
        assert host.calls == 1
        assert isinstance(admissions[0], Accept)
        assert admissions[0].call_id == handle.id
        assert handle.leg.to_number == ""  # as the webhook said it: here, nothing
        await handle.hang_up()


async def test_an_outcome_that_comes_before_the_apis_own_is_not_lost() -> None:
    scene = Scene()

    async def busy(request: DialRequest, call_id: str) -> None:
        await scene.host.progress(outbound(call_id), Progress.BUSY, request.callbacks.ticket)

    scene.carrier.on_dial = busy
    async with scene.running():
        handle = await scene.dial()
        assert (await handle.wait()).reason == "busy"


async def test_a_call_that_the_carrier_would_not_make_is_nobodys_should_it_be_answered() -> None:
    scene = Scene()
    scene.carrier.refusals = 1
    async with scene.running() as host:
        with pytest.raises(CarrierRequestFailed):
            await scene.dial()
        assert await host.announce(outbound(), URL, scene.ticket) == Reject()
        assert await host.after_stream(outbound(), URL, scene.ticket) == HangUp()
        assert host.calls == 0
    assert scene.sink.records == []


async def test_options_that_do_not_fit_into_a_url_are_refused_before_anybody_is_dialled() -> None:
    scene = Scene()
    async with scene.running():
        with pytest.raises(ConfigurationError, match="too long"):
            await scene.dial(CallOptions(first_message="x" * 4_000))
    assert scene.carrier.dialled == []


async def test_no_more_calls_are_made_than_are_allowed() -> None:
    scene = Scene(limits=Limits(calls=1, drain=0.01))
    async with scene.running():
        await scene.dial()
        with pytest.raises(CallLimitReached):
            await scene.dial()


@pytest.mark.parametrize("outcome", [Reject(reason="busy"), Transfer("+15550003333")])
async def test_a_route_may_end_elsewhere(outcome: Reject | Transfer) -> None:
    scene = Scene(route=outcome)
    async with scene.running() as host:
        assert await host.announce(Leg(carrier="fake", call_id="leg-1"), URL) == outcome
        assert host.calls == 0


async def test_after_a_stream_the_media_come_back_at_most_so_often() -> None:
    scene = Scene()
    leg = Leg(carrier="fake", call_id="leg-1")
    async with scene.running() as host:
        first = await host.announce(leg, URL)
        assert isinstance(first, Accept)
        urls = {first.media_url}
        ticket = first.callbacks.ticket
        for _ in range(2):
            again = await host.after_stream(leg, URL, ticket)
            assert isinstance(again, Accept)
            assert again.call_id == first.call_id
            urls.add(again.media_url)
            ticket = again.callbacks.ticket
        assert len(urls) == 3
        assert await host.after_stream(leg, URL, ticket) == HangUp()
        # And another worker, which knows nothing but the ticket, counts on from there.
        other = scene.new_host()
        async with other.running():
            assert await other.after_stream(leg, URL, ticket) == HangUp()
            earlier = await other.after_stream(leg, URL, first.callbacks.ticket)
            assert isinstance(earlier, Accept)
            assert earlier.call_id == first.call_id


async def test_a_forged_ticket_is_none() -> None:
    scene = Scene()
    async with scene.running() as host:
        assert await host.after_stream(outbound(), URL, "forged") == HangUp()
        await host.progress(outbound(), Progress.ANSWERED, "forged")
        assert host.calls == 0


async def test_what_the_carrier_tells_after_the_end_has_its_place_after_it() -> None:
    scene = Scene()
    leg = Leg(carrier="fake", call_id="leg-1")
    async with scene.running() as host:
        admission = await host.announce(leg, URL)
        assert isinstance(admission, Accept)
        (handle,) = host.handles
        end = handle.hang_up()
        await end
        await scene.sink.wait_for("call_ended")
        await anyio.wait_all_tasks_blocked()
        ticket = admission.callbacks.ticket
        await host.recording(leg, RecordingStatus(recording_id="R1", status="completed"), ticket)
        await host.priced(leg, Cost(Decimal(1)), ticket)
        await scene.sink.wait_for("call_priced")
        assert await host.announce(leg, URL) == Reject()
    *_, end_record, recorded, priced = scene.sink.records
    assert isinstance(recorded.event, RecordingChanged)
    assert isinstance(priced.event, CallPriced)
    assert [recorded.sequence, priced.sequence] == [end_record.sequence + 1, end_record.sequence + 2]
    assert {recorded.call_id, priced.call_id} == {handle.id}
    assert priced.elapsed_ms >= end_record.elapsed_ms


async def test_another_worker_may_tell_it_by_the_ticket_alone() -> None:
    scene = Scene()
    leg = Leg(carrier="fake", call_id="leg-1")
    async with scene.running() as host:
        admission = await host.announce(leg, URL)
        assert isinstance(admission, Accept)
        other = scene.new_host()
        async with other.running():
            await other.priced(leg, Cost(Decimal(1)), admission.callbacks.ticket)
            await other.priced(leg, Cost(Decimal(1)))  # whose? nobody's
        (record,) = await scene.sink.wait_for("call_priced")
        assert record.call_id == admission.call_id


async def test_an_event_is_new_once() -> None:
    host = Scene().host
    assert [host.first_time(event) for event in ("a", "a", "b")] == [True, False, True]


async def test_a_call_that_is_announced_again_after_its_audio_came_is_admitted_with_another_stream() -> None:
    scene = Scene()
    leg = Leg(carrier="fake", call_id="leg-1")
    async with scene.running() as host:
        first = await host.announce(leg, URL)
        assert isinstance(first, Accept)
        assert await host.announce(leg, URL) == first  # the webhook again, before anything came of it
        call = host.claim(first.media_url.rsplit("/", 1)[1])
        assert call is not None
        media = FakeSocket()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.serve_media, media.receive, media.send)
            media.say("start", "leg-1")
            await scene.sink.wait_for("media_started")
            again = await host.announce(leg, URL)
            assert isinstance(again, Accept)
            assert again.call_id == first.call_id
            assert again.media_url != first.media_url
            media.say("stop")


async def test_where_workers_share_calls_one_begins_where_its_stream_comes_and_has_the_same_id_everywhere() -> None:
    scene = Scene(shared=True)
    leg = Leg(carrier="fake", call_id="leg-1")
    other = scene.new_host()
    async with scene.running() as host, other.running():
        first, second = await host.announce(leg, URL), await other.announce(leg, URL)
        assert isinstance(first, Accept)
        assert isinstance(second, Accept)
        assert first.call_id == second.call_id
        assert (host.calls, other.calls, scene.sink.records) == (0, 0, [])
        call = other.claim(first.media_url.rsplit("/", 1)[1])
        assert call is not None
        assert call.leg.call_id == "leg-1"
        assert (host.calls, other.calls) == (0, 1)
        await anyio.wait_all_tasks_blocked()
        assert scene.engine.sessions == []  # nothing is opened ahead
        call.hang_up()


async def test_no_more_conversations_are_opened_ahead_than_the_limit_says() -> None:
    scene = Scene(limits=Limits(prewarm=2, drain=0.01))
    async with scene.running() as host:
        for number in range(4):
            await host.announce(Leg(carrier="fake", call_id=f"leg-{number}"), URL)
        await anyio.wait_all_tasks_blocked()
        assert (host.calls, len(scene.engine.sessions)) == (4, 2)
    assert all(session.closed for session in scene.engine.sessions)
