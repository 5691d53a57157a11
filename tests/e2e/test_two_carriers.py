"""One phone, two carriers, four workers, and a balancer that takes each connection to another one.

The calls of both carriers have the same ids. Each keeps its agent, options and history, wherever its webhooks and media
come. A call is dialled by the next carrier where one refused it, and never where it may have been made.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import pytest

from patter_core import Agent, Limits, Patter
from patter_core.errors import CarrierRequestFailed
from patter_core.events import TranscriptInput
from patter_core.history import AgentSaid, UserSaid
from patter_core.server.serving import bind, serve_app
from patter_core.store import HistoryLine
from patter_core.testing.call import Callee, EmulatedCall
from patter_core.testing.caller import Caller, Pause
from patter_core.testing.fakes import FakeEngine, FakeSession, MemoryCallStore
from patter_telnyx.rest import TelnyxApi
from patter_telnyx.testing import TelnyxEmulator
from patter_telnyx.testing.rest import Fault
from patter_twilio.testing import TwilioEmulator
from patter_twilio.testing.rest import Refusal
from tests.chaos.balancer import Balancer
from tests.polling import until

pytestmark = pytest.mark.anyio

SALES, SERVICE, CUSTOMER = "+15550001234", "+15550005678", "+15550009876"
NUMBERS = {"twilio": SALES, "telnyx": SERVICE}
WORKERS = 4
IDS = [f"CA{number:032x}" for number in range(1, 7)]
"""Of calls of both carriers."""


class Worker:
    """A phone of its own, as another process would have it; the engines and the store are the shared services."""

    def __init__(self, scene: Scene) -> None:
        self.phone = Patter(
            carrier=[scene.twilio.carrier(), scene.telnyx.carrier()],
            phone_number=NUMBERS,
            webhook_url=scene.url,
            store=scene.store,
            limits=Limits(drain=1.0),
        )
        self.sales = self.phone.agent(
            engine=scene.sales, name="sales", first_message="Sales.", resume_message="Where were we?"
        )
        self.service = self.phone.agent(engine=scene.service, name="service", resume_message="Where were we?")

    @property
    def agents(self) -> dict[str, Agent]:
        return {SALES: self.sales, SERVICE: self.service}


class KeptLines(MemoryCallStore):
    """A store that tells what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    async def append(self, call_id: str, line: HistoryLine) -> None:
        await super().append(call_id, line)
        if isinstance(line.item, UserSaid | AgentSaid):
            self.kept.append(line.item.text)


class Scene:
    def __init__(self) -> None:
        self.twilio, self.telnyx = TwilioEmulator(), TelnyxEmulator()
        self.sales, self.service = FakeEngine(), FakeEngine()
        self.store = KeptLines()
        self.balancer = Balancer()
        self.workers: list[Worker] = []
        self.ports: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.balancer.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[anyio.abc.TaskGroup]:
        with anyio.fail_after(60):
            async with contextlib.AsyncExitStack() as stack:
                for emulator in (self.twilio, self.telnyx):
                    await stack.enter_async_context(emulator)
                await stack.enter_async_context(self.balancer.running())
                for _ in range(WORKERS):
                    worker = Worker(self)
                    url = await stack.enter_async_context(serve_app(worker.phone.asgi(worker.agents)))
                    self.workers.append(worker)
                    self.ports.append(int(url.rsplit(":", 1)[1]))
                self.balancer.workers = self.ports
                async with anyio.create_task_group() as tasks:
                    yield tasks
                    for call in (*self.twilio.calls, *self.telnyx.calls):
                        call.end()
                    await until(lambda: not any(worker.phone.calls for worker in self.workers))

    def place(self, tasks: anyio.abc.TaskGroup, carrier: str, number: str, call_id: str) -> EmulatedCall:
        emulator = self.twilio if carrier == "twilio" else self.telnyx
        emulator.call_ids = [call_id]
        caller = Caller((Pause(60.0),), emulator.format)
        call = emulator.place(f"{self.url}/webhooks/{carrier}/voice", caller, to_number=number)
        tasks.start_soon(call.run)
        return call

    def engine_at(self, number: str) -> FakeEngine:
        return self.sales if number == SALES else self.service

    def taken_by(self, *, streams: bool) -> set[int]:
        """The ports of the workers that got media sockets, or webhooks."""
        return {link.worker for link in self.balancer.all_links if link.is_stream is streams}


def line(carrier: str, call_id: str) -> str:
    return f"I call over {carrier} in call {call_id}."


async def test_calls_with_the_same_ids_keep_their_agents_and_histories_on_whatever_worker() -> None:
    scene = Scene()
    async with scene.running() as tasks:
        calls: dict[tuple[str, str], tuple[str, EmulatedCall]] = {}
        for count, call_id in enumerate(IDS):
            for carrier in ("twilio", "telnyx"):
                number = SALES if (carrier == "twilio") is (count % 2 == 0) else SERVICE
                calls[carrier, call_id] = number, scene.place(tasks, carrier, number, call_id)
        for (carrier, call_id), (number, _) in calls.items():
            session = await scene.engine_at(number).session_of(call_id)
            assert (session.setup.leg.carrier, session.setup.leg.to_number) == (carrier, number)
            session.give(TranscriptInput(text=line(carrier, call_id)))
        await until(lambda: len(scene.store.kept) == len(calls))
        for _, call in calls.values():
            assert len(call.streams) == 1
            call.streams[-1].drop()
        for (carrier, call_id), (number, _) in calls.items():
            resumed = await scene.engine_at(number).session_of(call_id, 1)
            assert resumed.setup.leg.carrier == carrier
            assert resumed.setup.first_message == "Where were we?"
            await has_context(resumed)
            told = "\n".join(resumed.context)
            assert line(carrier, call_id) in told
            assert told.count("I call over") == 1
        assert len(scene.sales.sessions) == len(scene.service.sessions) == 2 * len(IDS)
        assert scene.taken_by(streams=True) == scene.taken_by(streams=False) == set(scene.ports)


async def test_calls_that_are_made_with_the_same_ids_keep_their_options() -> None:
    scene = Scene()
    async with scene.running():
        made: list[tuple[str, str, str]] = []
        for count, worker in enumerate(scene.workers):
            for carrier, emulator in (("twilio", scene.twilio), ("telnyx", scene.telnyx)):
                emulator.call_ids = [IDS[count]]
                agent, engine = (worker.sales, "sales") if carrier == "twilio" else (worker.service, "service")
                made.append((engine, carrier, IDS[count]))
                await worker.phone.call(
                    CUSTOMER,
                    agent=agent,
                    carrier=carrier,
                    first_message=f"Hello from {carrier} {count}.",
                    variables={"count": count},
                )
        for engine, carrier, call_id in made:
            session = await (scene.sales if engine == "sales" else scene.service).session_of(call_id)
            count = IDS.index(call_id)
            assert (session.setup.leg.carrier, session.setup.leg.from_number) == (carrier, NUMBERS[carrier])
            assert session.setup.first_message == f"Hello from {carrier} {count}."
            assert session.setup.variables["count"] == count
        assert len(scene.sales.sessions) == len(scene.service.sessions) == WORKERS


async def test_a_call_that_one_carrier_refused_is_made_by_the_next() -> None:
    scene = Scene()
    async with scene.running():
        worker = scene.workers[0]
        scene.twilio.api.refusals = [Refusal(status=400, code=21216)]
        call = await worker.phone.call(CUSTOMER, agent=worker.sales, carrier=["twilio", "telnyx"])
        assert (call.leg.carrier, call.leg.from_number) == ("telnyx", NUMBERS["telnyx"])
        session = await scene.sales.session_of(call.leg.call_id)
        assert session.setup.first_message == "Sales."
        assert (len(scene.twilio.calls), len(scene.telnyx.calls)) == (0, 1)
        await call.hang_up()
        scene.telnyx.api.faults = [Fault(action="dial", status=403)]
        call = await worker.phone.call(CUSTOMER, agent=worker.sales, carrier=["telnyx", "twilio"])
        assert call.leg.carrier == "twilio"
        await call.hang_up()


async def test_a_carrier_that_is_not_reached_has_not_made_the_call() -> None:
    with bind("127.0.0.1", 0) as listener:
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}"
    scene = Scene()
    async with scene.running():
        lost = dataclasses.replace(scene.telnyx.carrier(), base_url=nowhere)
        for twilio in (scene.twilio.carrier(), dataclasses.replace(scene.twilio.carrier(), base_url=nowhere)):
            phone = Patter(carrier=[lost, twilio], phone_number=NUMBERS, webhook_url=scene.url)
            agent = phone.agent(engine=scene.sales, name="sales")
            async with serve_app(phone.asgi(agent)):
                if twilio.base_url != nowhere:
                    call = await phone.call(CUSTOMER, agent=agent, carrier=["telnyx", "twilio"])
                    assert call.leg.carrier == "twilio"
                    await call.hang_up()
                    continue
                with pytest.raises(CarrierRequestFailed, match=r"Twilio at 127\.0\.0\.1 cannot be reached") as failure:
                    await phone.call(CUSTOMER, agent=agent, carrier=["telnyx", "twilio"])
                assert not failure.value.taken
                assert "Before, telnyx did not take the call" in failure.value.__notes__[0]
    assert (len(scene.twilio.calls), len(scene.telnyx.calls)) == (1, 0)


@pytest.mark.parametrize("first", ["twilio", "telnyx"])
async def test_a_call_that_may_have_been_made_is_not_made_by_the_next(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made, in fact, and the carrier's answer is lost: the call is hung up once it is answered."""
    monkeypatch.setattr(TelnyxApi, "answer_timeouts", (0.2, 0.2))
    scene = Scene()
    async with scene.running():
        worker = scene.workers[0]
        scene.balancer.workers = scene.ports[:1]  # another worker does not know that the call is given up
        for emulator in (scene.twilio, scene.telnyx):
            emulator.callee = Callee(rings=1.0)
        scene.twilio.api.refusals = [Refusal(status=503, done=True)]
        scene.telnyx.api.faults = [Fault(action="dial", times=2, silent=2.0)]
        second = "telnyx" if first == "twilio" else "twilio"
        with pytest.raises(CarrierRequestFailed) as failure:
            await worker.phone.call(CUSTOMER, agent=worker.sales, carrier=[first, second])
        assert failure.value.taken
        made, other = (scene.twilio, scene.telnyx) if first == "twilio" else (scene.telnyx, scene.twilio)
        (call,) = made.calls
        await call.over.wait()
        assert not other.calls
        assert scene.sales.sessions == []


async def has_context(session: FakeSession) -> None:
    await session.until(lambda: bool(session.context))
