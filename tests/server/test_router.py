"""What carriers ask and report: early, late, twice, after a stream, after the end; and outbound calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import anyio
import msgspec
import pytest

from patter_core.agent import Agent, CallOptions
from patter_core.call.config import HostConfig
from patter_core.call.handle import OutboundCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CallError, CallLimitReached, CarrierRequestFailed, ConfigurationError, WorkerStopping
from patter_core.events import CallAnnounced, CallEnded, CallPriced, RecordingChanged
from patter_core.server.host import CallHost
from patter_core.store import CallStore
from patter_core.telephony.control import DialRequest, RecordingStatus
from patter_core.telephony.leg import Direction, Leg, Progress
from patter_core.telephony.outcome import HangUp, Reason, Transfer
from patter_core.telephony.prices import Cost
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSocket, MemorySink
from patter_core.webhook import Accept, Reject, RoutedCall

pytestmark = pytest.mark.anyio

URL = "https://phone.example/webhooks/fake/voice"
LEG = Leg(carrier="fake", call_id="leg-1")


class Scene:
    def __init__(
        self,
        *,
        route: Agent | Reject | Transfer | None = None,
        limits: Limits | None = None,
        several_workers: bool = False,
        deadlines: Deadlines | None = None,
        carrier: FakeCarrier | None = None,
        store: CallStore | None = None,
    ) -> None:
        self.store = store
        self.deadlines = deadlines or Deadlines(last_word=0.05, media_return=0.1, answer=0.1)
        self.several_workers = several_workers
        self.carrier = carrier or FakeCarrier()
        self.sink = MemorySink()
        self.engine = FakeEngine()
        self.agent = Agent(engine=self.engine)
        self.limits = limits or Limits(drain=0.01, reconnects=2)
        self.route = route or self.agent
        self.routed: list[str] = []
        self.may_route = anyio.Event()
        self.may_route.set()
        self.host = self.new_host()

    def new_host(self) -> CallHost:
        async def route(leg: Leg) -> Agent | Reject | Transfer | None:
            self.routed.append(leg.call_id)
            await self.may_route.wait()
            return self.route

        return CallHost(
            self.carrier,
            config=HostConfig(
                limits=self.limits,
                deadlines=self.deadlines,
                several_workers=self.several_workers,
                store=self.store,
            ),
            route=route,
            find_agent=lambda _name: self.agent,
            sinks=[self.sink],
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[CallHost]:
        with anyio.fail_after(10):
            async with self.host.running():
                yield self.host

    async def dial(self, options: CallOptions | None = None) -> OutboundCall:
        return await self.host.dialer.dial(
            agent=self.agent,
            to_number="+15550001111",
            callers={"fake": "+15550002222"},
            base="https://phone.example",
            ring_timeout=5,
            options=options or CallOptions(),
        )

    @property
    def token(self) -> str:
        """The callback token of the last call that was dialled."""
        return self.carrier.dialled[-1].callbacks.token


def routed(host: CallHost, leg: Leg, token: str = "") -> RoutedCall:
    return host.routers["fake"].call(leg, URL, token)


async def accepted(host: CallHost, leg: Leg = LEG, token: str = "") -> Accept:
    """What the carrier is told of a call that arrives and is accepted."""
    answer = await routed(host, leg, token).arrived()
    assert isinstance(answer, Accept)
    return answer


def outbound(call_id: str = "out-1") -> Leg:
    return Leg(carrier="fake", call_id=call_id, direction=Direction.OUTBOUND)


async def test_an_answer_that_comes_before_the_apis_own_is_the_same_call() -> None:
    scene = Scene()
    accepts = []

    async def answered(request: DialRequest, call_id: str) -> None:
        accepts.append(await accepted(scene.host, outbound(call_id), request.callbacks.token))

    scene.carrier.on_dial = answered
    async with scene.running() as host:
        handle = await scene.dial(CallOptions(first_message="Hi."))
        assert await handle.wait_answered()
        assert len(host.table) == 1
        assert accepts[0].call_id == handle.id
        assert handle.leg.to_number == ""  # as the webhook said it: here, nothing
        await handle.hang_up()


async def test_an_outcome_that_comes_before_the_apis_own_is_not_lost() -> None:
    scene = Scene()

    async def busy(request: DialRequest, call_id: str) -> None:
        await routed(scene.host, outbound(call_id), request.callbacks.token).progressed(Progress.BUSY)

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
        assert await routed(host, outbound(), scene.token).arrived() == Reject()
        assert await routed(host, outbound(), scene.token).stream_ended() == HangUp()
        assert len(host.table) == 0
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
        with pytest.raises(CallLimitReached, match="Expected fewer than 1 at once"):
            await scene.dial()


async def test_a_worker_that_stops_makes_no_more_calls_and_says_that_alone() -> None:
    scene = Scene()
    async with scene.running() as host:
        host.table.draining = True
        with pytest.raises(CallLimitReached) as refused:
            await scene.dial()
    assert str(refused.value) == "This worker is stopping, and makes no more calls. Call from another worker."


async def test_calls_that_are_being_dialled_count() -> None:
    scene = Scene(limits=Limits(calls=1, drain=0.01))
    refused = 0

    async def dial() -> None:
        nonlocal refused
        try:
            await scene.dial()
        except CallLimitReached:
            refused += 1

    async with scene.running(), anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(dial)
    assert (refused, len(scene.carrier.dialled)) == (4, 1)


@pytest.mark.parametrize("outcome", [Reject(reason="busy"), Transfer("+15550003333")])
async def test_a_route_may_end_elsewhere(outcome: Reject | Transfer) -> None:
    scene = Scene(route=outcome)
    async with scene.running() as host:
        assert await routed(host, LEG).arrived() == outcome
        assert len(host.table) == 0


async def test_after_a_stream_the_media_come_back_at_most_so_often() -> None:
    scene = Scene()
    async with scene.running() as host:
        first = await accepted(host)
        urls = {first.media_url}
        token = first.callbacks.token
        for _ in range(2):
            again = await routed(host, LEG, token).stream_ended()
            assert isinstance(again, Accept)
            assert again.call_id == first.call_id
            urls.add(again.media_url)
            token = again.callbacks.token
        assert len(urls) == 3
        assert await routed(host, LEG, token).stream_ended() == HangUp()
        # And another worker, which knows nothing but the token, counts on from there.
        other = scene.new_host()
        async with other.running():
            assert await routed(other, LEG, token).stream_ended() == HangUp()
            earlier = await routed(other, LEG, first.callbacks.token).stream_ended()
            assert isinstance(earlier, Accept)
            assert earlier.call_id == first.call_id


async def test_a_forged_callback_token_is_none() -> None:
    scene = Scene()
    async with scene.running() as host:
        assert await routed(host, outbound(), "forged").stream_ended() == HangUp()
        await routed(host, outbound(), "forged").progressed(Progress.ANSWERED)
        assert len(host.table) == 0


async def test_what_the_carrier_tells_after_the_end_has_its_place_after_it() -> None:
    scene = Scene()
    async with scene.running() as host:
        accept = await accepted(host)
        (handle,) = host.phone_calls
        end = handle.hang_up()
        await end
        await scene.sink.wait_for("call_ended")
        await anyio.wait_all_tasks_blocked()
        token = accept.callbacks.token
        await routed(host, LEG, token).recording_changed(RecordingStatus(recording_id="R1", status="completed"))
        await routed(host, LEG, token).priced(Cost(Decimal(1)))
        await scene.sink.wait_for("call_priced")
        assert await routed(host, LEG).arrived() == Reject()
    *_, end_record, recorded, priced = scene.sink.records
    assert isinstance(recorded.event, RecordingChanged)
    assert isinstance(priced.event, CallPriced)
    assert [recorded.sequence, priced.sequence] == [end_record.sequence + 1, end_record.sequence + 2]
    assert {recorded.call_id, priced.call_id} == {handle.id}
    assert priced.elapsed_ms >= end_record.elapsed_ms


async def test_records_of_one_call_never_share_an_id() -> None:
    scene = Scene()
    async with scene.running() as host:
        await routed(host, LEG).arrived()
        (call,) = host.table.calls
        call.hang_up()
        await call.wait()
        await anyio.wait_all_tasks_blocked()
        assert len(host.table) == 0
        call.context.emit(RecordingChanged(recording=RecordingStatus(recording_id="R1", status="stopped")))
        await routed(host, LEG).priced(Cost(Decimal(1)))
        await scene.sink.wait_for("call_priced")
    ids = [record.id for record in scene.sink.records]
    assert len(set(ids)) == len(ids)


async def test_another_worker_may_tell_it_by_the_callback_token_alone() -> None:
    scene = Scene()
    async with scene.running() as host:
        accept = await accepted(host)
        other = scene.new_host()
        async with other.running():
            await routed(other, LEG, accept.callbacks.token).priced(Cost(Decimal(1)))
            await routed(other, LEG).priced(Cost(Decimal(1)))  # of a call that this worker cannot know
        (record,) = await scene.sink.wait_for("call_priced")
        assert record.call_id == accept.call_id


async def test_the_next_worker_of_a_call_stops_the_recording_that_the_one_before_started() -> None:
    scene = Scene(several_workers=True)
    async with scene.running() as host:
        other = scene.new_host()
        async with other.running():
            call = host.routers["fake"].claim((await accepted(host)).media_url.rpartition("/")[2])
            assert call is not None
            assert await call.actions.start_recording() == "recording-1"
            moved = await routed(
                host, LEG, call.context.accept.callbacks.token if call.context.accept else ""
            ).stream_ended()
            assert isinstance(moved, Accept)
            there = other.routers["fake"].claim(moved.token)
            assert there is not None
            with pytest.raises(CallError, match="already"):
                await there.actions.start_recording()
            await there.actions.pause_recording(paused=True)
            await there.actions.stop_recording()
            await there.actions.stop_recording()
            # Back at the first one, whose own knowledge is newer than the token's.
            call.context.token = msgspec.structs.replace(call.context.token, recording_id="recording-2")
            again = await routed(other, LEG, moved.callbacks.token).stream_ended()
            assert isinstance(again, Accept)
            back = host.routers["fake"].claim(again.token)
            assert back is call
            await call.actions.stop_recording()
    assert [line for line in scene.carrier.commands if "recording" in line] == [
        "pause leg-1 recording-1",
        "stop leg-1 recording-1",
        "stop leg-1 recording-2",
    ]


@pytest.mark.parametrize(
    ("limits", "deadlines"),
    [(Limits(engine_minutes=50), Deadlines()), (Limits(), Deadlines(longest_call=3000))],
    ids=["minutes of conversation", "the whole call"],
)
async def test_a_call_that_another_worker_takes_over_was_answered_and_has_lasted(
    limits: Limits, deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(several_workers=True, limits=limits, deadlines=deadlines)
    other = scene.new_host()
    async with scene.running() as host, other.running(), anyio.create_task_group() as tasks:

        async def stream(host: CallHost, accept: Accept, number: int) -> None:
            call, socket = host.routers["fake"].claim(accept.token), FakeSocket()
            assert call is not None
            tasks.start_soon(call.serve_media, socket)
            socket.say("start", "leg-1")
            await scene.sink.wait_for("media_started", number)

        first = await accepted(host)
        await stream(host, first, 1)
        an_hour_later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: an_hour_later)
        moved = await routed(other, LEG, first.callbacks.token).stream_ended()
        assert isinstance(moved, Accept)
        await stream(other, moved, 2)
        (ended,) = await scene.sink.wait_for("call_ended")
        for call in host.table.calls:
            call.hang_up()
    assert isinstance(ended.event, CallEnded)
    assert ended.event.reason is Reason.TOO_LONG
    assert ended.event.metrics.duration_ms > 3_600_000
    assert len(scene.sink.of("call_answered")) == 1


async def test_keys_that_a_webhook_reports_reach_the_engine_and_nothing_else_does() -> None:
    scene = Scene()
    socket = FakeSocket()
    async with scene.running() as host, anyio.create_task_group() as tasks:
        call = host.routers["fake"].claim((await accepted(host)).token)
        assert call is not None
        tasks.start_soon(call.serve_media, socket)
        socket.say("start", "leg-1")
        session = await scene.engine.session()
        await routed(host, LEG).keys_pressed("1x\n*")
        await routed(host, LEG).keys_pressed("7" * 100)
        await routed(host, Leg(carrier="fake", call_id="of another worker")).keys_pressed("9")
        await session.until(lambda: len(session.digits) >= 66)
        await scene.sink.wait_for("dtmf_received", 66)
        socket.say("stop")
    assert session.digits == ["1", "*", *"7" * 64]


def seen(host: CallHost, event_id: str) -> bool:
    with host.routers["fake"].seen(event_id) as seen:
        return seen


async def test_an_event_is_new_once_and_again_if_its_handling_failed() -> None:
    host = Scene().host
    assert [seen(host, event) for event in ("a", "a", "b")] == [False, True, False]
    with pytest.raises(LookupError), host.routers["fake"].seen("c"):
        raise LookupError
    assert [seen(host, event) for event in ("c", "c", "a")] == [False, True, True]


@contextlib.asynccontextmanager
async def routing(scene: Scene, legs: Sequence[Leg]) -> AsyncIterator[list[object]]:
    """Calls that arrive are being routed in the block, and decided when it ends. Gives what each came to."""
    scene.may_route = anyio.Event()
    results: list[object] = []

    async def arrive(leg: Leg) -> None:
        try:
            results.append(await routed(scene.host, leg).arrived())
        except WorkerStopping as stopping:
            results.append(stopping)

    async with anyio.create_task_group() as tasks:
        for leg in legs:
            tasks.start_soon(arrive, leg)
        await anyio.wait_all_tasks_blocked()
        yield results
        scene.may_route.set()


async def test_a_webhook_that_comes_again_while_its_call_is_routed_is_one_call() -> None:
    scene = Scene()
    async with scene.running() as host:
        async with routing(scene, [LEG] * 3) as results:
            pass
        assert scene.routed == ["leg-1"]
        assert len(host.table) == 1
        assert len(results) == 3
        assert results == [results[0]] * 3
        assert isinstance(results[0], Accept)
        assert len(host.routers["fake"].arrivals) == 0


async def test_while_one_call_is_routed_another_is_taken() -> None:
    scene = Scene()
    async with scene.running() as host, routing(scene, [LEG]):
        scene.may_route, waiting = anyio.Event(), scene.may_route
        scene.may_route.set()
        await accepted(host, Leg(carrier="fake", call_id="leg-2"))
        scene.may_route = waiting


async def test_calls_that_are_routed_at_once_do_not_exceed_the_limit() -> None:
    scene = Scene(limits=Limits(calls=2, drain=0.01))
    legs = [Leg(carrier="fake", call_id=f"leg-{number}") for number in range(5)]
    async with scene.running() as host:
        async with routing(scene, legs) as results:
            pass
        assert len(host.table) == 2
        assert results.count(Reject(reason="busy")) == 3


async def test_a_caller_who_hangs_up_while_their_call_is_routed_starts_none() -> None:
    scene = Scene()
    async with scene.running() as host:
        async with routing(scene, [LEG]) as results:
            await routed(host, LEG).progressed(Progress.COMPLETED)
        assert results == [Reject()]
        assert len(host.table) == 0
        await routed(host, LEG).progressed(Progress.COMPLETED)  # again, of a call that is not known


async def test_a_call_that_is_routed_when_the_worker_is_told_to_stop_goes_to_another() -> None:
    scene = Scene()
    async with scene.running() as host:
        async with routing(scene, [LEG]) as results:
            await host.drain()
        assert [type(result) for result in results] == [WorkerStopping]


async def test_a_plugin_that_routes_to_an_agent_of_its_own_making_has_the_call_rejected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene(route=Agent(engine=FakeEngine(), name="stranger"))
    async with scene.running() as host:
        assert await routed(host, LEG).arrived() == Reject()
    assert "stranger" in caplog.text


async def test_a_call_that_arrives_again_after_its_audio_came_is_accepted_with_another_stream() -> None:
    scene = Scene()
    async with scene.running() as host:
        first = await accepted(host)
        assert await routed(host, LEG).arrived() == first  # the webhook again, before anything came of it
        call = host.routers["fake"].claim(first.media_url.rsplit("/", 1)[1])
        assert call is not None
        media = FakeSocket()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.serve_media, media)
            media.say("start", "leg-1")
            await scene.sink.wait_for("media_started")
            again = await accepted(host)
            assert again.call_id == first.call_id
            assert again.media_url != first.media_url
            media.say("stop")


async def test_a_call_that_arrives_again_while_its_stream_starts_is_accepted_with_another_stream() -> None:
    scene = Scene(several_workers=True)
    async with scene.running() as host:
        first = await accepted(host)
        call = host.routers["fake"].claim(first.media_url.rsplit("/", 1)[1])
        assert call is not None
        again = await accepted(host)
        assert again.media_url.startswith("wss://phone.example/media/fake/")
        assert again.media_url != first.media_url
        call.hang_up()


async def test_where_workers_share_calls_one_begins_where_its_stream_comes_and_has_the_same_id_everywhere() -> None:
    scene = Scene(several_workers=True)
    other = scene.new_host()
    async with scene.running() as host, other.running():
        first, second = await accepted(host), await accepted(other)
        assert first.call_id == second.call_id
        assert (len(host.table), len(other.table), scene.sink.records) == (0, 0, [])
        call = other.routers["fake"].claim(first.media_url.rsplit("/", 1)[1])
        assert call is not None
        assert call.leg.call_id == "leg-1"
        assert (len(host.table), len(other.table)) == (0, 1)
        await anyio.wait_all_tasks_blocked()
        assert scene.engine.sessions == []  # nothing is opened ahead
        call.hang_up()


@pytest.mark.parametrize("several_workers", [False, True])
async def test_every_worker_knows_where_the_webhooks_of_a_leg_are(several_workers: bool) -> None:
    scene = Scene(several_workers=several_workers)
    async with scene.running() as host:
        call = host.routers["fake"].claim((await accepted(host)).token)
        assert call is not None
        assert call.leg.webhooks == "https://phone.example/webhooks/fake"
        await scene.sink.wait_for("call_announced")
        (announced,) = scene.sink.of("call_announced")
        assert isinstance(announced.event, CallAnnounced)
        assert announced.event.leg.webhooks == ""
        call.hang_up()


async def test_no_more_conversations_are_opened_ahead_than_the_limit_says() -> None:
    scene = Scene(limits=Limits(prewarm=2, drain=0.01))
    async with scene.running() as host:
        for number in range(4):
            await routed(host, Leg(carrier="fake", call_id=f"leg-{number}")).arrived()
        await anyio.wait_all_tasks_blocked()
        assert (len(host.table), len(scene.engine.sessions)) == (4, 2)
    assert all(session.closed for session in scene.engine.sessions)


async def test_a_stream_that_comes_to_another_worker_although_there_should_be_one_is_taken_and_logged_as_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    other = scene.new_host()
    async with scene.running() as host, other.running():
        accept = await accepted(host)
        call = other.routers["fake"].claim(accept.media_url.rsplit("/", 1)[1])
        assert call is not None
        call.hang_up()
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "Patter(several_workers=True)" in record.getMessage()
    assert "PATTER_SEVERAL_WORKERS=1" in record.getMessage()


async def test_a_call_whose_webhook_is_faster_than_the_api_counts_once() -> None:
    scene = Scene(limits=Limits(calls=2, drain=0.01))

    async def answered(request: DialRequest, call_id: str) -> None:
        await routed(scene.host, outbound(call_id), request.callbacks.token).arrived()
        await accepted(scene.host)

    scene.carrier.on_dial = answered
    async with scene.running() as host:
        await scene.dial()
        assert len(host.table) == 2


async def test_a_call_that_is_being_dialled_when_the_worker_drains_is_hung_up_like_a_live_one() -> None:
    scene = Scene()
    dialling = anyio.Event()

    async def slowly(_request: DialRequest, _call_id: str) -> None:
        dialling.set()
        await anyio.sleep(0.2)

    scene.carrier.on_dial = slowly
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, scene.host.running():
            tasks.start_soon(scene.dial)
            await dialling.wait()
    assert scene.carrier.hung_up == ["out-1"]


async def test_a_request_does_not_start_a_worker_that_was_drained_and_two_first_requests_start_one() -> None:
    scene = Scene()
    await scene.host.drain()
    await scene.host.ensure_running()
    with pytest.raises(WorkerStopping):
        await routed(scene.host, LEG).arrived()

    fresh = scene.new_host()
    answers: list[object] = []

    async def first_request(number: int) -> None:
        await fresh.ensure_running()
        answers.append(await routed(fresh, Leg(carrier="fake", call_id=f"leg-{number}")).arrived())

    async with anyio.create_task_group() as tasks:
        for number in range(2):
            tasks.start_soon(first_request, number)
    assert [type(answer) for answer in answers] == [Accept, Accept]
    for call in fresh.phone_calls:
        await call.hang_up()
