"""The calls of a worker: new ones are shed before live ones suffer, and a worker that stops lets them finish."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from patter_core.agent import Agent
from patter_core.audio import ULAW_8000, AudioChunk
from patter_core.call.callbacks import Transcript, UserCallbacks
from patter_core.call.config import HostConfig
from patter_core.call.handle import PhoneCall
from patter_core.call.limits import Limits
from patter_core.call.timeouts import Deadlines
from patter_core.errors import WorkerStopping
from patter_core.events import CallEnded, ResponseDone, TranscriptOutput
from patter_core.server.app import make_app
from patter_core.server.host import CallHost
from patter_core.server.serving import serve_app
from patter_core.telephony.leg import Leg
from patter_core.telephony.outcome import HangUp, Transfer
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeMessage, FakeSession, MemorySink
from patter_core.webhook import Accept
from tests.polling import until

pytestmark = pytest.mark.anyio

FRAME = AudioChunk(bytes(range(160)), ULAW_8000)
FAKE = {"x-fake": "yes"}


class Comeback(FakeCarrier):
    """A carrier that asks what is next when a stream breaks off."""

    asks_at_stream_end = True


class Worker:
    """A host behind its app on a port, with the carrier's account that it shares with other workers."""

    def __init__(
        self,
        carrier: FakeCarrier,
        *,
        limits: Limits | None = None,
        callbacks: UserCallbacks | None = None,
        several_workers: bool = False,
    ) -> None:
        self.carrier = carrier
        self.engine = FakeEngine()
        self.sink = MemorySink()
        agent = Agent(engine=self.engine)

        async def route(_leg: Leg) -> Agent:
            return agent

        self.host = CallHost(
            carrier,
            config=HostConfig(
                limits=limits or Limits(drain=0.05),
                deadlines=Deadlines(last_word=2, media_return=0.2, carrier_silence=1),
                several_workers=several_workers,
            ),
            route=route,
            find_agent=lambda _name: agent,
            sinks=[self.sink],
            callbacks=callbacks,
        )
        self.client = httpx.AsyncClient()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        with anyio.fail_after(20):
            async with serve_app(make_app(self.host)) as url, httpx.AsyncClient(base_url=url) as self.client:
                yield

    async def arrive(self, leg: str) -> httpx.Response:
        return await self.client.post("/webhooks/fake/voice", content=leg, headers=FAKE)

    @contextlib.asynccontextmanager
    async def call(self, leg: str) -> AsyncIterator[tuple[ClientConnection, FakeSession]]:
        """A live call: its media socket, and its conversation."""
        count = len(self.engine.sessions)
        async with connect((await self.arrive(leg)).text, additional_headers=FAKE) as media:
            begun = sum(record.event.kind == "media_started" for record in self.sink.records)
            await say(media, "start", leg)
            await self.sink.wait_for("media_started", begun + 1)
            await until(lambda: len(self.engine.sessions) > count)
            yield media, self.engine.sessions[-1]

    async def ended(self, count: int = 1) -> CallEnded:
        event = (await self.sink.wait_for("call_ended", count))[-1].event
        assert isinstance(event, CallEnded)
        return event


def last_accept(worker: Worker) -> Accept:
    """What the carrier was told last of the worker's only call."""
    (call,) = worker.host.table.calls
    assert call.context.accept is not None
    return call.context.accept


def address(worker: Worker) -> str:
    return str(worker.client.base_url.netloc.decode())


async def say(media: ClientConnection, event: str, value: str = "") -> None:
    await media.send(msgspec.json.encode(FakeMessage(event, value)).decode())


async def heard(media: ClientConnection, event: str) -> FakeMessage:
    while True:
        message = msgspec.json.decode(await media.recv(), type=FakeMessage)
        if message.event == event:
            return message


async def keep_line(media: ClientConnection) -> None:
    """Frames, as a carrier sends them in silence too."""
    while True:
        await say(media, "audio", FRAME.base64)
        await anyio.sleep(0.02)


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_too_many_new_calls_a_second_are_told_that_we_are_busy_and_the_live_ones_go_on() -> None:
    worker = Worker(FakeCarrier(), limits=Limits(calls_per_second=2, drain=0.05))
    async with worker.serving(), worker.call("leg-0") as (media, session):
        answers = [await worker.arrive(f"flood-{number}") for number in range(20)]
        assert [answer.text for answer in answers].count("busy") >= 18
        session.give(FRAME)
        assert (await heard(media, "audio")).value == FRAME.base64
        await say(media, "stop")
        assert (await worker.ended()).reason == "caller_hung_up"


async def test_a_live_call_that_another_worker_lost_is_taken_beyond_the_limit() -> None:
    carrier = FakeCarrier()
    first, second = Worker(carrier), Worker(carrier, limits=Limits(calls=1, drain=0.05))
    async with first.serving(), second.serving():
        elsewhere = (await first.arrive("leg-1")).text.replace(address(first), address(second))
        assert (await second.arrive("leg-2")).status_code == 200
        assert (await second.arrive("leg-3")).text == "busy"
        async with connect(elsewhere, additional_headers=FAKE) as media:
            await say(media, "start", "leg-1")
            await second.engine.session()
            assert len(second.host.table) == 2


# --- the end of a worker ---------------------------------------------------------------------------------------------


async def test_while_it_drains_new_calls_go_elsewhere_and_live_ones_go_on_to_their_end() -> None:
    worker = Worker(FakeCarrier(), limits=Limits(drain=10))
    async with worker.serving(), worker.call("leg-1") as (media, session), anyio.create_task_group() as tasks:
        tasks.start_soon(worker.host.drain)
        await until(lambda: not worker.host.table.is_ready)
        ready = await worker.client.get("/health/ready")
        assert (ready.status_code, ready.json()["calls"]) == (503, 1)
        refused = await worker.arrive("leg-2")
        assert (refused.status_code, refused.headers["retry-after"], refused.text) == (503, "1", "")
        assert refused.headers["connection"] == "close"  # or the next attempt would come here again
        assert (await worker.arrive("leg-1")).status_code == 200  # the carrier repeats itself about a live one
        session.give(FRAME)
        assert (await heard(media, "audio")).value == FRAME.base64
        await say(media, "stop")
        assert (await worker.ended()).reason == "caller_hung_up"
    assert worker.carrier.hung_up == []


@pytest.mark.parametrize(
    ("final_action", "command"),
    [(HangUp("We have to stop."), "say leg-1 We have to stop."), (Transfer("+15550001111"), "transfer leg-1")],
)
async def test_at_the_deadline_a_live_call_is_heard_out_and_then_ended_as_the_limits_say(
    final_action: HangUp | Transfer, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(FakeCarrier(), limits=Limits(drain=0.1, after_drain=final_action))
    async with worker.serving(), worker.call("leg-1") as (media, session), anyio.create_task_group() as tasks:
        session.give(FRAME)
        session.give(ResponseDone())
        mark = await heard(media, "mark")
        tasks.start_soon(worker.host.drain)
        await anyio.sleep(0.5)
        assert len(worker.host.table) == 1  # the deadline is over, the sentence is not
        assert worker.carrier.commands == []
        await say(media, "mark", mark.value)
        end = await worker.ended()
        assert (end.reason, end.by) == ("host_hung_up", "host")
        assert end.detail == "the server stopped: the 0.1 s of Limits.drain were over"
    assert "The 0.1 s of Limits.drain are over: 1 live call is ended as Limits.after_drain says." in caplog.messages
    assert worker.carrier.commands[0].startswith(command)


async def test_a_worker_that_drains_leaves_what_another_lost_to_a_third() -> None:
    carrier = FakeCarrier()
    first, second = Worker(carrier), Worker(carrier)
    async with first.serving(), second.serving():
        await first.arrive("leg-1")
        accept = last_accept(first)
        leg = Leg(carrier="fake", call_id="leg-1")
        there = second.host.routers["fake"].call(leg, "http://a/webhooks/fake/voice", accept.callbacks.token)
        assert isinstance(await there.stream_ended(), Accept)
        await second.host.drain()
        with pytest.raises(WorkerStopping):
            await there.stream_ended()
        with pytest.raises(InvalidStatus):
            await connect(
                accept.media_url.replace(address(first), address(second)),
                additional_headers=FAKE,
            )


# --- media that break off --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["it breaks off", "it goes silent"])
async def test_the_worker_that_lost_the_media_leaves_the_call_to_the_one_that_was_asked(how: str) -> None:
    carrier = Comeback()
    first, second = Worker(carrier), Worker(carrier)
    leg = Leg(carrier="fake", call_id="leg-1")
    async with first.serving(), second.serving(), first.call("leg-1") as (media, _):
        accept = last_accept(first)
        if how == "it breaks off":
            media.transport.abort()
        url = f"{second.client.base_url}/webhooks/fake/voice"
        answer = await second.host.routers["fake"].call(leg, url, accept.callbacks.token).stream_ended()
        assert isinstance(answer, Accept)
        there = answer.media_url.replace(address(first), address(second))
        async with connect(there, additional_headers=FAKE) as again, anyio.create_task_group() as tasks:
            await say(again, "start", "leg-1")
            tasks.start_soon(keep_line, again)
            session = await second.engine.session()
            assert (await first.ended()).reason == "media_lost"
            assert carrier.hung_up == []
            session.give(FRAME)
            assert (await heard(again, "audio")).value == FRAME.base64
            tasks.cancel_scope.cancel()


# --- the user's functions --------------------------------------------------------------------------------------------


async def test_the_users_functions_hear_of_a_whole_call_and_their_faults_do_not_end_it() -> None:
    told: list[str] = []
    ends: list[CallEnded] = []

    async def on_call_start(call: PhoneCall) -> None:
        call.add_context("They are a regular.")

    def on_transcript(call: PhoneCall, said: Transcript) -> None:
        told.append(said.text)
        call.add_context("From a thread.")
        raise LookupError

    async def on_call_end(_call: PhoneCall, end: CallEnded) -> None:
        ends.append(end)

    callbacks = UserCallbacks(on_call_start=on_call_start, on_transcript=on_transcript, on_call_end=on_call_end)
    worker = Worker(FakeCarrier(), callbacks=callbacks)
    async with worker.serving():
        outer = anyio.current_time()
        async with worker.call("leg-1") as (media, session):
            up = anyio.current_time()
            session.give(TranscriptOutput(text="Hello."))
            await until(lambda: session.context[-1:] == ["From a thread."])
            session.give(FRAME)
            assert (await heard(media, "audio")).value == FRAME.base64
            least = (anyio.current_time() - up) * 1000
            await say(media, "stop")
            end = await worker.ended()
            most = (anyio.current_time() - outer) * 1000
        await until(lambda: bool(ends))
    assert told == ["Hello.", ""]  # it was said, and its audio was not heard
    assert ends == [end]
    assert least <= ends[0].duration_ms <= most


async def test_the_end_of_a_call_that_a_stopping_worker_cuts_is_told_too() -> None:
    ends: list[str] = []
    worker = Worker(
        FakeCarrier(),
        limits=Limits(drain=0.05),
        callbacks=UserCallbacks(on_call_end=lambda _call, end: ends.append(end.reason)),
    )
    async with worker.serving(), worker.call("leg-1"):
        pass
    assert len(ends) == 1
