"""The last seconds of a worker: drained, then a while longer there; at a second signal at once, but tidily."""

from __future__ import annotations

import contextlib
import signal

import anyio
import pytest

from patter_core.call.config import HostConfig
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.server import signals
from patter_core.server.host import CallHost
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.testing.fakes import FakeCarrier
from patter_core.webhook import WebhookResponse
from tests.polling import until
from tests.server.test_drain import FRAME, Comeback, Worker, heard, say
from tests.server.test_replays import streaming
from tests.server.test_router import Scene, accepted, outbound

pytestmark = pytest.mark.anyio


class Stopping(FakeCarrier):
    """A carrier with an answer of its own."""

    def stopping_response(self) -> WebhookResponse:
        return WebhookResponse(body=b"come again", content_type="text/fake")


class Faulty(FakeCarrier):
    """Its answer is a fault."""

    def stopping_response(self) -> WebhookResponse:
        raise SystemExit(3)


# --- what carriers are told ------------------------------------------------------------------------------------------


async def test_the_carrier_says_what_a_new_call_is_answered_while_the_worker_stops() -> None:
    worker = Worker(Stopping())
    async with worker.serving():
        await worker.host.drain()
        answer = await worker.arrive("leg-1")
    assert (answer.status_code, answer.text) == (200, "come again")
    assert (answer.headers["content-type"], answer.headers["connection"]) == ("text/fake", "close")


async def test_without_an_answer_of_the_carriers_it_is_503() -> None:
    worker = Worker(Faulty())
    async with worker.serving():
        await worker.host.drain()
        answer = await worker.arrive("leg-1")
    assert (answer.status_code, answer.headers["connection"]) == (503, "close")


# --- lingering -------------------------------------------------------------------------------------------------------


async def test_it_goes_on_answering_for_a_while_after_the_last_call() -> None:
    worker = Worker(FakeCarrier(), limits=Limits(drain=5, linger=1))
    stopped = anyio.Event()

    async def stop() -> None:
        await worker.host.stop(signal.SIGINT)
        stopped.set()

    async with worker.serving(), anyio.create_task_group() as tasks:
        async with worker.call("leg-1") as (media, _):
            tasks.start_soon(stop)
            await until(lambda: not worker.host.table.is_ready)
            await say(media, "stop")
            await worker.ended()
        began = anyio.current_time()
        assert (await worker.client.get("/health/ready")).status_code == 503
        assert (await worker.arrive("leg-2")).status_code == 503
        await stopped.wait()
    assert 0.7 < anyio.current_time() - began < 4


@pytest.mark.parametrize(("number", "least", "most"), [(signal.SIGTERM, 0.5, 3.0), (signal.SIGINT, 0.0, 0.4)])
async def test_without_calls_only_a_console_does_not_wait(
    number: signal.Signals, least: float, most: float, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(FakeCarrier(), limits=Limits(linger=0.5))
    async with worker.serving():
        began = anyio.current_time()
        await worker.host.stop(number)
        assert least <= anyio.current_time() - began <= most
    waits = ["Stopping on SIGTERM: no call is live; carriers are answered for 0.5 s more."]
    assert caplog.messages == (waits if least else [])


async def test_where_nobody_sent_a_signal_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(signals, "_reasons", {})
    monkeypatch.setattr("os.kill", lambda _process, number: sent.append(number))
    signals.stop_process("a change of the program")
    worker = Worker(FakeCarrier(), limits=Limits(linger=0.01))
    async with worker.serving():
        await worker.host.stop(sent[0])
    assert caplog.messages == [
        "Stopping on a change of the program: no call is live; carriers are answered for 0.01 s more."
    ]


class Requesting(FakeCarrier):
    """A carrier that requests something here, half a second after it was told to."""

    def __init__(self) -> None:
        super().__init__()
        self.settled = False

    async def settle(self) -> None:
        await anyio.sleep(0.5)
        self.settled = True


@pytest.mark.parametrize("hurries", [False, True])
async def test_a_worker_stays_for_what_a_carrier_requests_after_its_last_calls_unless_in_a_hurry(
    hurries: bool,
) -> None:
    carrier = Requesting()
    worker = Worker(carrier, limits=Limits(linger=60))
    async with worker.serving(), anyio.create_task_group() as tasks:
        tasks.start_soon(worker.host.stop, signal.SIGINT)
        await anyio.sleep(0.1)
        if hurries:
            await worker.host.hurry()
    assert carrier.settled is not hurries


async def test_a_carrier_that_fails_to_say_what_it_will_request_is_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(FakeCarrier):
        async def settle(self) -> None:
            raise SystemExit(3)

    worker = Worker(Failing())
    async with worker.serving():
        await worker.host.drain()
    assert "fake was not waited for at the end of the worker." in caplog.messages


# --- in a hurry ------------------------------------------------------------------------------------------------------


async def test_a_second_signal_hangs_up_and_tells_the_end() -> None:
    worker = Worker(FakeCarrier(), limits=Limits(drain=60, linger=60))
    async with worker.serving(), worker.call("leg-1") as (_, session), anyio.create_task_group() as tasks:
        session.give(FRAME)
        tasks.start_soon(worker.host.stop, signal.SIGTERM)
        await until(lambda: not worker.host.table.is_ready)
        began = anyio.current_time()
        await worker.host.hurry()
        end = await worker.ended()
        assert (end.reason, end.detail) == ("host_hung_up", "the server stopped at once")
        assert worker.carrier.hung_up == ["leg-1"]
    assert anyio.current_time() - began < 5


async def nowhere(_leg: Leg) -> None:
    pass


async def test_a_second_signal_ends_the_lingering() -> None:
    host = CallHost(
        FakeCarrier(),
        config=HostConfig(limits=Limits(linger=60), deadlines=Deadlines()),
        route=nowhere,
        find_agent=lambda _name: None,
    )
    with anyio.fail_after(5):
        async with host.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(host.stop, signal.SIGTERM)
            await anyio.wait_all_tasks_blocked()
            await host.hurry()


# --- a server that cuts the sockets before ---------------------------------------------------------------------------


@pytest.mark.parametrize("carrier", [Comeback, FakeCarrier])
async def test_calls_that_a_server_cut_when_it_stopped_are_hung_up(carrier: type[FakeCarrier]) -> None:
    worker = Worker(carrier(), limits=Limits(drain=30))
    with anyio.fail_after(10):
        async with contextlib.AsyncExitStack() as caller, worker.serving():
            media, session = await caller.enter_async_context(worker.call("leg-1"))
            session.give(FRAME)
            await heard(media, "audio")
    assert worker.carrier.hung_up == ["leg-1"]


async def test_where_there_are_other_workers_they_are_left_to_those() -> None:
    worker = Worker(Comeback(), limits=Limits(drain=30), several_workers=True)
    worker.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    with anyio.fail_after(10):
        async with contextlib.AsyncExitStack() as caller, worker.serving():
            await caller.enter_async_context(worker.call("leg-1"))
    await worker.sink.wait_for("call_moved")
    assert worker.carrier.hung_up == []


async def test_a_call_whose_audio_is_lost_while_the_only_worker_stops_is_hung_up() -> None:
    """As with a server that cuts the sockets, and an app without a lifespan."""
    worker = Worker(Comeback(), limits=Limits(drain=30))
    async with worker.serving(), worker.call("leg-1") as (media, _), anyio.create_task_group() as tasks:
        tasks.start_soon(worker.host.drain)
        await until(lambda: not worker.host.table.is_ready)
        media.transport.abort()
        assert (await worker.ended()).reason == "media_lost"
        await until(lambda: worker.carrier.hung_up == ["leg-1"])


@pytest.mark.parametrize(
    ("progress", "reason"),
    [(Progress.ANSWERED, "moved"), (Progress.RINGING, "host_hung_up"), (Progress.NO_ANSWER, "no_answer")],
)
async def test_a_call_that_was_answered_at_another_worker_is_not_hung_up_at_the_end_of_a_drain(
    progress: Progress, reason: str
) -> None:
    scene = Scene(several_workers=True, limits=Limits(drain=0.5))
    scene.carrier.facts = LegFacts(progress=progress)
    async with scene.running() as host:
        handle = await scene.dial()
        await host.drain()
        assert (await handle.wait()).reason == reason
    assert scene.carrier.hung_up == (["out-1"] if reason == "host_hung_up" else [])


@pytest.mark.parametrize(("long_ago", "reason"), [(False, "host_hung_up"), (True, "moved")])
async def test_one_that_was_answered_here_is_another_workers_once_its_audio_should_be_here(
    monkeypatch: pytest.MonkeyPatch, *, long_ago: bool, reason: str
) -> None:
    monkeypatch.setattr("patter_core.call.reports._AUDIO_COMES_WITHIN", 0.0 if long_ago else 60.0)
    scene = Scene(several_workers=True, limits=Limits(drain=0.5))
    scene.carrier.facts = LegFacts(progress=Progress.ANSWERED)
    async with scene.running() as host:
        handle = await scene.dial()
        await accepted(host, outbound(), scene.token)
        await host.drain()
        assert (await handle.wait()).reason == reason
    assert scene.carrier.hung_up == ([] if long_ago else ["out-1"])


async def test_one_whose_audio_comes_here_while_the_carrier_is_asked_is_ended_with_the_drain() -> None:
    class Asked(FakeCarrier):
        async def look_up(self, leg: Leg) -> LegFacts:
            asked.set()
            await comes.wait()
            return LegFacts(progress=Progress.ANSWERED)

    asked, comes = anyio.Event(), anyio.Event()
    scene = Scene(several_workers=True, limits=Limits(drain=1), carrier=Asked())
    async with scene.running() as host, anyio.create_task_group() as tasks:
        handle = await scene.dial()
        tasks.start_soon(host.drain)
        await asked.wait()
        async with streaming(host, await accepted(host, outbound(), scene.token), "out-1"):
            comes.set()
            assert (await handle.wait()).reason == "host_hung_up"


async def test_a_carrier_that_does_not_answer_does_not_lengthen_a_drain() -> None:
    class Silent(FakeCarrier):
        async def look_up(self, leg: Leg) -> LegFacts:
            await anyio.sleep_forever()
            raise AssertionError

    scene = Scene(several_workers=True, limits=Limits(drain=0.1), carrier=Silent())
    async with scene.running() as host:
        await scene.dial()
        began = anyio.current_time()
        await host.drain()
        assert anyio.current_time() - began < 3
