"""Callers on hold whose worker is gone, between workers that share a store: minutes of hold take moments."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import ParamSpec, TypeVar

import anyio
import anyio.abc
import pytest

from patter_core.agent import Agent
from patter_core.call.call import Call
from patter_core.call.config import HostConfig
from patter_core.call.destinations import Destinations
from patter_core.call.engine_breakers import EngineBreakers
from patter_core.call.handle import PhoneCall
from patter_core.call.history import HistoryWriter
from patter_core.call.limits import Limits
from patter_core.call.records import Outlets
from patter_core.call.state import State
from patter_core.call.timeouts import Deadlines
from patter_core.errors import CarrierRequestFailed, StoreUnavailable
from patter_core.history import AgentSaid
from patter_core.server.call_table import CallTable
from patter_core.server.held_calls import LEASE, HeldCalls
from patter_core.server.host import CallHost
from patter_core.server.trunks import Trunk
from patter_core.store import CallStore, HistoryLine, Lease
from patter_core.telephony.control import LegFacts
from patter_core.telephony.leg import Leg, Progress
from patter_core.telephony.outcome import Reason
from patter_core.testing.fakes import FakeCarrier, FakeEngine, FakeSocket, MemoryCallStore
from patter_core.webhook import Accept
from tests.calls import new_token
from tests.polling import until
from tests.virtual_time import VIRTUAL

pytestmark = pytest.mark.anyio

LEG = Leg(carrier="fake", call_id="leg-1", from_number="+15550002222", to_number="+15550001111")
SOON = LEASE * 2 + 10
"""Seconds: a lease, the period in which it is looked for, and the patience of a worker that has just started."""
P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture
def anyio_backend() -> object:
    return VIRTUAL


class Carrier(FakeCarrier):
    """Its holds end the stream, and it asks nothing then."""

    asks_at_stream_end = True

    def __init__(self) -> None:
        super().__init__()
        self.facts = LegFacts(progress=Progress.ANSWERED)
        self.resumed: list[Accept] = []
        self.failures: list[Exception] = []
        """With which the next holds are not ended."""

    async def resume(self, leg: Leg, accept: Accept) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await super().resume(leg, accept)
        self.resumed.append(accept)


class Link(CallStore):
    """A worker's way to the store. A worker whose way is cut, and that does nothing else, is as good as dead."""

    name = "link"
    leases = True

    def __init__(self, kept: MemoryCallStore) -> None:
        self.kept = kept
        self.is_cut = False
        self.hangs = False
        self.asked = 0

    async def _over(self, request: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self.asked += 1
        if self.hangs:
            await anyio.sleep_forever()
        if self.is_cut:
            raise StoreUnavailable("The way is cut.")
        return await request(*args, **kwargs)

    async def append(self, call_id: str, line: HistoryLine) -> None:
        await self._over(self.kept.append, call_id, line)

    async def history(self, call_id: str) -> Sequence[HistoryLine]:
        return await self._over(self.kept.history, call_id)

    async def keep_lease(self, lease: Lease, seconds: float) -> bool:
        return await self._over(self.kept.keep_lease, lease, seconds)

    async def release_lease(self, lease: Lease) -> None:
        await self._over(self.kept.release_lease, lease)

    async def take_leases(self, seconds: float) -> Sequence[Lease]:
        return await self._over(self.kept.take_leases, seconds)


class Worker:
    """What a worker has of its calls, on the clock of the test."""

    def __init__(self, carrier: Carrier, store: Link, agents: dict[str, Agent], tasks: anyio.abc.TaskGroup) -> None:
        self.store = store
        self.carrier = carrier
        self.config = HostConfig(deadlines=Deadlines(carrier_silence=3600), several_workers=True, store=store)
        self.agents = agents
        self.tasks = tasks
        self.table = CallTable(self.config)
        self.trunk = Trunk(carrier, on_price=lambda _leg, _cost: None, price_after=())
        self.history = HistoryWriter(store)
        self.held = HeldCalls(self.config, trunks={"fake": self.trunk}, table=self.table, find_agent=agents.get)
        for run in (self.held.run, self.trunk.hang_ups.run, self.history.run):
            tasks.start_soon(run)

    async def stream(self, accept: Accept) -> Call:
        """The carrier brings the call's audio here."""
        token = self.trunk.tokens.read_stream(accept.token)
        assert token is not None
        call, socket = self.table.get(token.call_id), FakeSocket()
        if call is None:
            call = Call(
                token,
                leg=token.leg,
                agent=self.agents[token.agent],
                carrier=self.carrier,
                config=self.config,
                breakers=EngineBreakers(),
                destinations=Destinations(self.config.limits),
                outlets=Outlets(history=self.history),
                new_accept=self.trunk.tokens.accept,
                clock=anyio.current_time,
            )
            self.held.watch(call)
            self.table.add(call)
            self.tasks.start_soon(self._run, call)
        self.tasks.start_soon(call.serve_media, socket)
        socket.say("start", "leg-1")
        await until(lambda: call.state is State.LIVE)
        return call

    async def _run(self, call: Call) -> None:
        await call.run()
        self.table.remove(call)


class Scene:
    """A call at the first of two workers."""

    def __init__(self) -> None:
        self.carrier = Carrier()
        self.engine = FakeEngine()
        self.agents = {"agent": Agent(engine=self.engine, first_message="Hello.", resume_message="Where were we?")}
        self.kept = MemoryCallStore(clock=anyio.current_time)
        self.one: Worker
        self.other: Worker
        self.call: Call
        self.tasks: anyio.abc.TaskGroup

    @property
    def leases(self) -> list[Lease]:
        return [lease for _, lease in self.kept._leases.values()]

    @property
    def handle(self) -> PhoneCall:
        return PhoneCall(self.call)

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as self.tasks:
            self.one, self.other = (Worker(self.carrier, Link(self.kept), self.agents, self.tasks) for _ in range(2))
            accept = self.one.trunk.tokens.accept(new_token(LEG))
            self.call = await self.one.stream(accept)
            await anyio.sleep(LEASE)  # both know that the store answers
            yield
            self.tasks.cancel_scope.cancel()

    async def hold(self) -> None:
        await self.handle.hold()
        await until(lambda: bool(self.leases))

    async def brought_back(self, count: int = 1) -> Accept:
        await until(lambda: len(self.carrier.resumed) >= count, within=5 * SOON, every=0.5)
        return self.carrier.resumed[-1]

    async def hung_up(self) -> None:
        await until(lambda: bool(self.carrier.hung_up), within=10 * SOON, every=0.5)


async def test_a_caller_on_hold_whose_worker_is_gone_is_back_with_the_agent_at_another() -> None:
    scene = Scene()
    async with scene.live():
        await scene.kept.append(scene.call.call_id, HistoryLine("1", AgentSaid(text="One moment.", started_ms=1.0)))
        await scene.hold()
        scene.one.store.is_cut = True
        began = anyio.current_time()
        accept = await scene.brought_back()
        assert LEASE <= anyio.current_time() - began <= LEASE * 1.6
        await until(lambda: not scene.leases)
        assert [reserved.call_id for reserved in scene.other.table.reserved] == [scene.call.call_id]
        call = await scene.other.stream(accept)
        assert list(scene.other.table.reserved) == []
        assert call.call_id == scene.call.call_id
        assert call.context.was_elsewhere
        setup = (await scene.engine.session(1)).setup
        assert (setup.first_message, setup.resumed) == ("Where were we?", True)
        assert [item.text for item in setup.history if isinstance(item, AgentSaid)] == ["One moment."]
        await anyio.sleep(5 * LEASE)
        assert (len(scene.carrier.resumed), scene.carrier.hung_up) == (1, [])


async def test_a_caller_on_hold_at_a_living_worker_stays_there() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        await anyio.sleep(20 * LEASE)
        assert (scene.call.state, scene.carrier.resumed) == (State.HELD, [])
        assert len(scene.leases) == 1


ENDS: dict[str, Callable[[PhoneCall], Coroutine[object, object, object]]] = {
    "resume": lambda call: call.resume(),
    "transfer": lambda call: call.transfer("+15550003333", now=True),
    "hang up": lambda call: call.hang_up(now=True),
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_hold_that_ends_leaves_no_lease(end: str) -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ENDS[end], scene.handle)
            await until(lambda: scene.call.state is not State.HELD)
            began = anyio.current_time()
            await until(lambda: not scene.leases)
        assert anyio.current_time() - began < 0.1


async def test_a_renewal_that_hangs_does_not_hold_up_the_release() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.hangs = True
        await anyio.sleep(LEASE / 4)
        scene.one.store.hangs = False
        await scene.handle.resume()
        began = anyio.current_time()
        await until(lambda: not scene.leases)
        assert anyio.current_time() - began < 0.1


async def test_a_hold_that_the_carrier_does_not_end_has_a_lease_again() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        (before,) = scene.leases
        scene.carrier.failures = [CarrierRequestFailed("No.", taken=False, status=400)]
        with pytest.raises(CarrierRequestFailed):
            await scene.handle.resume()
        await until(lambda: bool(scene.leases) and scene.leases != [before])
        await anyio.sleep(5 * LEASE)
        assert (scene.call.state, scene.carrier.resumed) == (State.HELD, [])


async def test_a_worker_that_was_slow_leaves_the_call_to_the_one_that_took_it() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        call = await scene.other.stream(await scene.brought_back())
        scene.one.store.is_cut = False
        ended = await scene.handle.wait()
        assert (ended.reason, scene.carrier.hung_up) == (Reason.MOVED, [])
        assert call.state is State.LIVE


async def test_a_worker_that_stood_still_goes_on_with_its_own_hold() -> None:
    scene = Scene()
    async with scene.live():
        scene.other.store.is_cut = True
        await scene.hold()
        (before,) = scene.leases
        scene.kept._leases[scene.call.call_id] = (0.0, before)  # it takes it before it renews it
        for lease in await scene.kept.take_leases(LEASE):
            await scene.one.held._bring_back(lease, math.inf)
        await until(lambda: bool(scene.leases) and scene.leases != [before])
        await anyio.sleep(5 * LEASE)
        assert (scene.call.state, scene.carrier.resumed) == (State.HELD, [])


async def test_when_the_store_is_back_after_a_long_time_the_living_keep_their_calls() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        for away in (LEASE * 3, LEASE + 1, LEASE * 3.3):
            scene.one.store.is_cut = scene.other.store.is_cut = True
            await anyio.sleep(away)
            scene.one.store.is_cut = scene.other.store.is_cut = False
            await anyio.sleep(3 * LEASE)
            assert (scene.call.state, scene.carrier.resumed) == (State.HELD, [])


async def test_a_release_that_the_store_did_not_take_comes_before_others_take_the_lease() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = scene.other.store.is_cut = True
        await scene.handle.resume()
        await anyio.sleep(3 * LEASE)
        assert scene.leases
        scene.one.store.is_cut = scene.other.store.is_cut = False
        await anyio.sleep(3 * LEASE)
        assert (scene.leases, len(scene.carrier.resumed)) == ([], 1)  # its own


async def test_a_store_that_hangs_costs_a_call_nothing_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    async with scene.live():
        scene.one.store.hangs = True
        began = anyio.current_time()
        await scene.handle.hold()
        assert anyio.current_time() - began < 0.1
        await anyio.sleep(3 * LEASE)
        assert scene.call.state is State.HELD
        began = anyio.current_time()
        await scene.handle.resume()
        assert anyio.current_time() - began < 0.1
        await anyio.sleep(LEASE)
        scene.one.store.hangs = False
    assert len([record for record in caplog.records if "keeps no leases" in record.message]) == 1


async def test_a_lease_that_a_dead_worker_left_behind_ends_with_the_call_at_another() -> None:
    """The worker has ended the hold, and died before the release; the carrier asks another one what is next."""
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        await scene.handle.resume()
        call = await scene.other.stream(scene.carrier.resumed[-1])
        await until(lambda: not scene.leases)
        await anyio.sleep(3 * LEASE)
        assert (call.state, len(scene.carrier.resumed)) == (State.LIVE, 1)


async def test_a_release_for_a_claim_that_is_late_costs_a_later_hold_nothing() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        accept = await scene.brought_back()
        scene.other.store.is_cut = True
        call = await scene.other.stream(accept)
        await PhoneCall(call).hold()
        await anyio.sleep(LEASE)
        scene.other.store.is_cut = False
        await until(lambda: bool(scene.leases), within=LEASE)
        await scene.kept.release_lease(Lease(call.call_id))  # and one was on its way
        await anyio.sleep(3 * LEASE)
        assert (call.state, len(scene.leases), len(scene.carrier.resumed)) == (State.HELD, 1, 1)


async def test_a_call_that_is_over_is_let_alone() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
        await until(lambda: not scene.leases, within=SOON, every=0.5)
        assert (scene.carrier.resumed, len(scene.other.trunk.hang_ups)) == ([], 0)


async def test_a_call_that_was_over_when_its_lease_was_taken_has_its_end_where_it_was_on_hold() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        scene.carrier.facts = LegFacts(progress=Progress.COMPLETED)
        await until(lambda: not scene.leases, within=SOON, every=0.5)
        assert scene.call.state is State.HELD  # it has not asked by itself yet
        scene.one.store.is_cut = False
        assert (await scene.handle.wait()).reason == Reason.CALLER_HUNG_UP


async def test_a_lease_that_had_to_wait_is_left_to_the_next_worker() -> None:
    """Its time is up again soon: two workers would have the carrier bring the call."""
    scene = Scene()
    async with scene.live():
        await scene.hold()
        (lease,) = scene.leases
        scene.one.store.is_cut = True
        scene.other.held._requests = requests = anyio.Semaphore(1)
        async with requests:
            await until(lambda: lease in scene.kept._over, within=SOON, every=0.5)
            await anyio.sleep(LEASE / 2)
        await anyio.sleep(1)
        assert scene.carrier.resumed == []
        await scene.brought_back()


async def test_a_carrier_that_is_away_is_asked_again() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        scene.carrier.failures = [CarrierRequestFailed("Away.", taken=False), RuntimeError("A fault of the plugin.")]
        call = await scene.other.stream(await scene.brought_back())
        assert call.context.token.streams == 3


async def test_who_cannot_be_brought_back_is_hung_up(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        scene.carrier.failures = [CarrierRequestFailed("Away.", taken=False)] * 100
        await scene.hung_up()
        assert 90 <= len(scene.carrier.failures) <= 98
        assert not scene.leases
    assert "tried too often" in caplog.text


@pytest.mark.parametrize("why", ["refused", "no agent"])
async def test_who_is_refused_is_hung_up_at_once(why: str) -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        scene.one.store.is_cut = True
        if why == "refused":
            scene.carrier.failures = [CarrierRequestFailed("No.", taken=False, status=404)]
        else:
            del scene.agents["agent"]
        await scene.hung_up()
        assert (scene.carrier.hung_up, scene.carrier.resumed, scene.leases) == (["leg-1"], [], [])


async def test_a_token_that_cannot_be_read_is_told_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    async with scene.live():
        await scene.kept.keep_lease(Lease("strange", "not-a-token"), 0)
        await until(lambda: not scene.leases, within=SOON, every=0.5)
    assert "Call strange: its worker is gone" in caplog.text
    assert "not-a-token" not in caplog.text


async def test_during_a_warm_transfer_there_is_no_lease(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene = Scene()
    kept: list[Lease] = []
    keep = scene.kept.keep_lease

    async def note(lease: Lease, seconds: float) -> bool:
        kept.append(lease)
        return await keep(lease, seconds)

    scene.kept.keep_lease = note  # type: ignore[method-assign]
    async with scene.live():
        scene.tasks.start_soon(scene.handle.warm_transfer, "+15550003333", "It is Ada.")
        await until(lambda: bool(scene.carrier.dialled))
        await anyio.sleep(2.0)
        assert (scene.call.state, kept) == (State.HELD, [])


async def test_what_a_call_without_a_token_shows_is_no_secret() -> None:
    scene = Scene()
    async with scene.live():
        await scene.hold()
        (lease,) = scene.leases
        assert len(lease.token) > 100
        assert lease.token not in repr(lease)


async def test_a_worker_that_drains_takes_nothing_and_leaves_no_lease() -> None:
    scene = Scene()
    async with scene.live():
        await scene.kept.keep_lease(Lease("another", "token"), 0)
        scene.one.table.draining = scene.other.table.draining = True
        await scene.hold()
        await anyio.sleep(2 * LEASE)
        assert len(scene.leases) == 2
        scene.one.store.is_cut = True  # the release is lost at first
        scene.call.hang_up()
        await scene.call.wait()
        await anyio.wait_all_tasks_blocked()
        scene.one.store.is_cut = False
        await scene.one.held.drain()
        assert [lease.call_id for lease in scene.leases] == ["another"]


async def test_a_worker_that_stops_releases_what_it_owes_before_the_store_is_closed() -> None:
    class Closing(Link):
        is_closed = False

        async def release_lease(self, lease: Lease) -> None:
            assert not self.is_closed
            await super().release_lease(lease)

        async def aclose(self) -> None:
            self.is_closed = True

    async def route(_leg: Leg) -> None:
        return None

    store, lease = Closing(MemoryCallStore(clock=anyio.current_time)), Lease("call-1", "token")
    config = HostConfig(limits=Limits(drain=0.01), several_workers=True, store=store)
    host = CallHost(Carrier(), config=config, route=route, find_agent=lambda _name: None)
    async with host.running():
        await store.keep_lease(lease, LEASE)
        host._held._owe(lease)
    assert (store.kept._leases, store.is_closed) == ({}, True)


@pytest.mark.parametrize("lacks", ["leases", "other workers"])
async def test_without_leases_or_other_workers_the_store_is_asked_for_none(lacks: str) -> None:
    class NoLeases(Link):
        leases = lacks != "leases"

    store = NoLeases(MemoryCallStore())

    async def route(_leg: Leg) -> None:
        return None

    config = HostConfig(limits=Limits(drain=0.01), several_workers=lacks == "leases", store=store)
    host = CallHost(Carrier(), config=config, route=route, find_agent=lambda _name: None)
    async with host.running():
        await anyio.sleep(5 * LEASE)
    assert store.asked == 0
